-- Purpose: our indexes, and whether the planner may use them. A partitioned index may be invalid while
--   a partition is being attached; its parts tell more.
-- Locks: none.
SELECT c.relname::text AS name, t.relname::text AS table, i.indisvalid AND i.indisready AS valid
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
 WHERE c.relnamespace = 'tidemill'::regnamespace
 ORDER BY c.relname
