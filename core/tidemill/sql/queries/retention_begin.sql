-- Purpose: make the mark of a pass of retention that has none.
-- Parameters: $1 the pass.
-- Locks: its new row.
-- Plan: primary key.
INSERT INTO tidemill.retention_marks (name)
SELECT $1::text WHERE NOT EXISTS (SELECT FROM tidemill.retention_marks m WHERE m.name = $1::text)
ON CONFLICT DO NOTHING
