-- Purpose: whether live tasks still have their bodies: up to $1 of each place are looked at.
-- Parameters: $1 tasks of each place.
-- Locks: none.
-- Plan: the first $1 rows of each table; bodies by primary key, one partition each.
SELECT v.place, count(*) AS looked, count(*) FILTER (WHERE b.id IS NULL) AS missing
  FROM (
      (SELECT 'ready' AS place, r.task_id FROM tidemill.ready r LIMIT $1::integer)
      UNION ALL
      (SELECT 'scheduled', s.task_id FROM tidemill.scheduled s LIMIT $1::integer)
      UNION ALL
      (SELECT 'leases', l.task_id FROM tidemill.leases l LIMIT $1::integer)
  ) AS v
  LEFT JOIN LATERAL (SELECT t.id FROM tidemill.tasks t WHERE t.id = v.task_id LIMIT 1) AS b ON true
 GROUP BY v.place ORDER BY v.place
