-- Purpose: take up a pass of retention where it stands; none when another process is at it.
-- Parameters: $1 the pass.
-- Locks: its row, unless locked.
-- Plan: primary key.
SELECT m.at, m.id, m.page, m.final, m.rules, statement_timestamp() AS now
  FROM tidemill.retention_marks m WHERE m.name = $1::text
   FOR UPDATE SKIP LOCKED
