-- Purpose: note how far a pass of retention has come.
-- Parameters: $1 the pass; $2 time, $3 id, $4 page, $5 whether the day is over, $6 fingerprint of the keep times.
-- Locks: its row, which the caller holds.
-- Plan: primary key.
UPDATE tidemill.retention_marks m
   SET at = $2::timestamptz, id = $3::uuid, page = $4::bigint, final = $5::boolean, rules = $6::text
 WHERE m.name = $1::text
