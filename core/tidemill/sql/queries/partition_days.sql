-- Purpose: the days that have a partition, oldest first, and how long each is.
-- Parameters: $1 the parent: tasks or attempts.
-- Locks: none; waits for who drops a day right now.
-- Plan: the catalogue.
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day,
       coalesce(pg_relation_size(c.oid) / current_setting('block_size')::bigint, 0) AS pages
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = format('tidemill.%I', $1::text)::regclass AND c.relname ~ '_[0-9]{8}$'
 ORDER BY 1
