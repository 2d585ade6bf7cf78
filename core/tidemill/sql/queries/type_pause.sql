-- Purpose: pause or resume a task type.
-- Parameters: $1 name; $2 whether to pause.
-- Returns the name.
-- Locks: the type's row; waits for who is setting tasks of it aside.
UPDATE tidemill.task_types SET paused = $2::boolean, updated_at = statement_timestamp()
 WHERE name = $1::text RETURNING name
