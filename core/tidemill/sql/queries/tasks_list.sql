-- Purpose: one stretch of the list of tasks, newest first: looks at up to $9 tasks from $5 down and
--   returns those that the filters admit, with how far it looked; a task without id ends the list
--   where none was admitted.
-- Parameters: $1 status, $2 queue, $3 type, $4 name, $5 id to start below, $6 created at or after,
--   $7 created before (each null: any), $8 most tasks to return, $9 most tasks to look at; $10 names
--   of the queues that may be seen, or null for all.
-- Locks: none.
-- Plan: the status says where to walk, by index from $5 down: ready, scheduled, leases and
--   dead_letters by task; attempts, all days merged, for tasks that ended otherwise, so that a large
--   backlog is not walked for them; or else tasks, one partition after the other. The other branches
--   are never started. Then a look by id a task, and into attempts only for those that pass the other
--   filters. An end is its task's newest attempt: a stretch that parts a task's attempts loses none.
WITH bounds AS MATERIALIZED (
    SELECT coalesce(tidemill.uuid_floor($6::timestamptz), '00000000-0000-0000-0000-000000000000') AS lowest,
           least(coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), tidemill.uuid_floor($7::timestamptz + interval '1 ms')) AS above
), walked AS MATERIALIZED (
    (SELECT t.id, true AS fits FROM tidemill.tasks t
      WHERE $1::text IS NULL
        AND t.id >= (SELECT b.lowest FROM bounds b) AND t.id < (SELECT b.above FROM bounds b)
      ORDER BY t.id DESC LIMIT $9::bigint)
    UNION ALL
    SELECT e.task_id, e.outcome = $1
      FROM (SELECT a.task_id, a.outcome FROM tidemill.attempts a
             WHERE $1 IN ('succeeded', 'cancelled')
               AND a.task_id >= (SELECT b.lowest FROM bounds b) AND a.task_id < (SELECT b.above FROM bounds b)
             ORDER BY a.task_id DESC, a.token DESC LIMIT $9) AS e
    UNION ALL
    (SELECT r.task_id, true FROM tidemill.ready r
      WHERE $1 = 'queued' AND r.task_id >= (SELECT b.lowest FROM bounds b) AND r.task_id < (SELECT b.above FROM bounds b)
      ORDER BY r.task_id DESC LIMIT $9)
    UNION ALL
    (SELECT s.task_id, true FROM tidemill.scheduled s
      WHERE $1 = 'scheduled' AND s.task_id >= (SELECT b.lowest FROM bounds b) AND s.task_id < (SELECT b.above FROM bounds b)
      ORDER BY s.task_id DESC LIMIT $9)
    UNION ALL
    (SELECT l.task_id, true FROM tidemill.leases l
      WHERE $1 = 'running' AND l.task_id >= (SELECT b.lowest FROM bounds b) AND l.task_id < (SELECT b.above FROM bounds b)
      ORDER BY l.task_id DESC LIMIT $9)
    UNION ALL
    (SELECT d.task_id, true FROM tidemill.dead_letters d
      WHERE $1 = 'failed' AND d.task_id >= (SELECT b.lowest FROM bounds b) AND d.task_id < (SELECT b.above FROM bounds b)
      ORDER BY d.task_id DESC LIMIT $9)
), found AS (
    SELECT v.*
      FROM walked w
     CROSS JOIN LATERAL (
         SELECT t.id FROM tidemill.tasks t
          WHERE w.fits AND t.id = w.id
            AND ($2::text IS NULL OR t.queue_id = (SELECT q.id FROM tidemill.queues q WHERE q.name = $2))
            AND ($10::text[] IS NULL OR t.queue_id = ANY (ARRAY(SELECT q.id FROM tidemill.queues q WHERE q.name = ANY ($10))))
            AND ($3::text IS NULL OR t.type = $3)
            AND ($4::text IS NULL OR t.name = $4)
            AND ($6 IS NULL OR t.created_at >= $6) AND ($7 IS NULL OR t.created_at < $7)
          LIMIT 1) AS t
     CROSS JOIN LATERAL (
         SELECT s.id, s.name, s.type, s.queue, s.status, s.priority, s.idempotency_key, s.retry_count,
                s.crash_count, s.max_retries, s.timeout_seconds, s.created_at, s.run_at, s.first_run_at,
                s.expires_at, s.started_at, s.completed_at, s.worker_id, s.cancel_requested_at, s.last_error
           FROM tidemill.task_status s WHERE s.id = t.id LIMIT 1) AS v
     WHERE $1 IS NULL OR v.status = $1
     ORDER BY v.id DESC LIMIT $8::bigint
)
SELECT w.looked, w.last, f.*
  FROM (SELECT count(*) AS looked, (array_agg(id ORDER BY id))[1] AS last FROM walked) AS w
  LEFT JOIN found f ON true
 ORDER BY f.id DESC
