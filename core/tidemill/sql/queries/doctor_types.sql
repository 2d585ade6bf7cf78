-- Purpose: types whose waiting tasks went back because the worker that claimed them lacked their type:
--   how many of these wait, how often they went back, since when (seconds), in which queues, and the app
--   that registered the type, if any did.
-- Parameters: $1 tasks that are looked at of those due soon; $2 at the head of each queue; $3 how soon is
--   soon, in seconds: longer than such a task is sent away for.
-- Locks: none.
-- Plan: scheduled_order up to $3, the head of each queue by ready_order, bodies by primary key, and for each
--   index attempts_task in the partitions from its creation on.
SELECT t.type, k.app, k.name IS NOT NULL AS registered, count(*) AS tasks,
       sum(gone.times)::bigint AS times,
       extract(epoch FROM statement_timestamp() - min(gone.first_at))::double precision AS seconds,
       array_agg(DISTINCT q.name) AS queues
  FROM (
      (SELECT s.task_id FROM tidemill.scheduled s
        WHERE s.run_at <= statement_timestamp() + make_interval(secs => $3::double precision)
          AND s.parked IS NULL
        ORDER BY s.run_at LIMIT $1::integer)
      UNION ALL
      SELECT head.task_id FROM tidemill.queues w CROSS JOIN LATERAL (
          SELECT r.task_id FROM tidemill.ready r WHERE r.queue_id = w.id
           ORDER BY r.priority DESC, r.lane, r.seq LIMIT $2::integer) AS head
  ) AS looked
  JOIN tidemill.tasks t ON t.id = looked.task_id
  JOIN tidemill.queues q ON q.id = t.queue_id
 CROSS JOIN LATERAL (
      SELECT count(*) AS times, min(a.finished_at) AS first_at
        FROM tidemill.attempts a
       WHERE a.task_id = t.id AND a.finished_at >= t.created_at
         AND a.outcome = 'snoozed' AND a.error ->> 'type' = 'UnknownType'
  ) AS gone
  LEFT JOIN tidemill.task_types k ON k.name = t.type
 WHERE gone.times > 0
 GROUP BY t.type, k.app, k.name
 ORDER BY tasks DESC, t.type
