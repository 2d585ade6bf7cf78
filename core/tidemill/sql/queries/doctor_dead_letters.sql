-- Purpose: dead letters by type; `crashed` are those that took their worker down $1 times, and `seconds`
--   is how long ago the last of these was.
-- Parameters: $1 crashes that make a dead letter, $2 most rows that are looked at.
-- Locks: none.
SELECT d.type, count(*) AS tasks, count(*) FILTER (WHERE d.crash_count >= $1::integer) AS crashed,
       extract(epoch FROM statement_timestamp()
               - max(d.failed_at) FILTER (WHERE d.crash_count >= $1::integer))::double precision AS seconds
  FROM (SELECT x.type, x.crash_count, x.failed_at FROM tidemill.dead_letters x LIMIT $2::integer) AS d
 GROUP BY d.type
 ORDER BY tasks DESC, d.type
