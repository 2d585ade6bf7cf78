-- Purpose: schedules whose slot came more than $1 seconds ago, and those whose latest slot fired no task;
--   `error` is null where it did, or where the schema is too old to say.
-- Parameters: $1 seconds; $2 most rows.
-- Locks: none.
-- Plan: the table is small.
SELECT s.name, greatest(0, extract(epoch FROM statement_timestamp() - s.next_slot))::double precision AS late_seconds,
       coalesce(s.next_slot < statement_timestamp() - make_interval(secs => $1::double precision), false) AS late,
       to_jsonb(s) ->> 'last_error' AS error
  FROM tidemill.schedules s
 WHERE NOT s.paused
   AND (s.next_slot < statement_timestamp() - make_interval(secs => $1::double precision)
        OR to_jsonb(s) ->> 'last_error' IS NOT NULL)
 ORDER BY s.next_slot, s.name LIMIT $2::integer
