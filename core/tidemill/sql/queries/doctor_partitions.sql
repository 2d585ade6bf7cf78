-- Purpose: which daily partitions there are, attached to their parent or not, and how long the longest
--   keep time of any queue is.
-- Parameters: $1 keep time in seconds of a queue that sets none.
-- Locks: none.
SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date AS today,
       coalesce(array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE i.inhrelid IS NOT NULL), '{}') AS attached,
       coalesce(array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE i.inhrelid IS NULL), '{}') AS detached,
       (SELECT greatest($1::double precision, max(greatest(q.succeeded_seconds, q.failed_seconds, q.cancelled_seconds)))
          FROM tidemill.queues q) AS keep_seconds
  FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
 WHERE c.relnamespace = 'tidemill'::regnamespace AND c.relkind = 'r'
   AND c.relname ~ '^(tasks|attempts)_[0-9]{8}$'
