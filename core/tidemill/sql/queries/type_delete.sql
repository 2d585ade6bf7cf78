-- Purpose: forget a task type. Its tasks stay.
-- Parameters: $1 name.
-- Returns the name.
-- Locks: the type's row.
DELETE FROM tidemill.task_types WHERE name = $1::text RETURNING name
