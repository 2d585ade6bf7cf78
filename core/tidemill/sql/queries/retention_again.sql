-- Purpose: start all passes over ends again.
-- Locks: the rows of the marks.
-- Plan: the whole table, some rows.
UPDATE tidemill.retention_marks SET at = 'epoch', page = 0, final = false WHERE name LIKE 'keep %'
