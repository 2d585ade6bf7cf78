-- Purpose: the different keep times of succeeded and cancelled tasks, where the pass of each stands, and
--   a fingerprint of the queues' own ones.
-- Parameters: $1 and $2 default keep times of succeeded and cancelled in seconds.
-- Locks: none.
-- Plan: the queues, all of them; marks by primary key.
SELECT k.seconds, 'keep ' || k.seconds AS name, m.at, m.page, m.final, m.rules, statement_timestamp() AS now,
       (SELECT md5(coalesce(string_agg(format('%s %s %s', q.id, q.succeeded_seconds, q.cancelled_seconds), ',' ORDER BY q.id), ''))
          FROM tidemill.queues q WHERE q.succeeded_seconds IS NOT NULL OR q.cancelled_seconds IS NOT NULL) AS current
  FROM (SELECT $1::double precision AS seconds
        UNION SELECT $2::double precision
        UNION SELECT q.succeeded_seconds FROM tidemill.queues q WHERE q.succeeded_seconds IS NOT NULL
        UNION SELECT q.cancelled_seconds FROM tidemill.queues q WHERE q.cancelled_seconds IS NOT NULL) AS k
  LEFT JOIN tidemill.retention_marks m ON m.name = 'keep ' || k.seconds
 ORDER BY k.seconds
