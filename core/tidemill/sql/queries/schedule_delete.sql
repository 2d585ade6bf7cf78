-- Purpose: delete a schedule. Its slots stay until they expire: one of the same name fires none again.
-- Parameters: $1 name.
-- Locks: its row.
-- Plan: primary key.
DELETE FROM tidemill.schedules WHERE name = $1::text RETURNING name
