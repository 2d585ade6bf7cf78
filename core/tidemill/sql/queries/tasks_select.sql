-- Purpose: the next tasks that an act by filter is for, in the order of their ids: looks at up to $10
--   tasks from $2 on and returns those that match, with how far it looked; one row without an id
--   where none matched.
-- Parameters: $1 most tasks; $2 the id to go on after, or null; $3 statuses to look for, of queued,
--   scheduled, running and failed; and what to match, null for anything: $4 queue, $5 type,
--   $6 priority, $7 created at or after, $8 created before, $9 type of the error of a dead letter;
--   $10 most tasks to look at; $11 names of the queues that may be touched, or null for all.
-- Locks: none: the act looks again.
-- Plan: of each place asked for, the next $10 by the unique key on task_id, of which the first $10
--   together; bodies by primary key. Bounded, for nothing keeps the planner from sorting all that
--   waits where the order would have to come through a join.
WITH bounds AS MATERIALIZED (
    SELECT coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') AS after,
           coalesce(tidemill.uuid_floor($7::timestamptz), '00000000-0000-0000-0000-000000000000') AS lowest,
           coalesce(tidemill.uuid_floor($8::timestamptz + interval '1 ms'), 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS above
), walked AS MATERIALIZED (
    SELECT w.task_id, w.queue_id, w.error_type FROM (
        (SELECT r.task_id, r.queue_id, NULL::text AS error_type FROM tidemill.ready r
          WHERE 'queued' = ANY ($3::text[]) AND r.task_id > (SELECT b.after FROM bounds b)
            AND r.task_id >= (SELECT b.lowest FROM bounds b) AND r.task_id < (SELECT b.above FROM bounds b)
          ORDER BY r.task_id LIMIT $10::bigint)
        UNION ALL
        (SELECT s.task_id, s.queue_id, NULL FROM tidemill.scheduled s
          WHERE 'scheduled' = ANY ($3::text[]) AND s.task_id > (SELECT b.after FROM bounds b)
            AND s.task_id >= (SELECT b.lowest FROM bounds b) AND s.task_id < (SELECT b.above FROM bounds b)
          ORDER BY s.task_id LIMIT $10::bigint)
        UNION ALL
        (SELECT l.task_id, l.queue_id, NULL FROM tidemill.leases l
          WHERE 'running' = ANY ($3::text[]) AND l.task_id > (SELECT b.after FROM bounds b)
            AND l.task_id >= (SELECT b.lowest FROM bounds b) AND l.task_id < (SELECT b.above FROM bounds b)
          ORDER BY l.task_id LIMIT $10::bigint)
        UNION ALL
        (SELECT d.task_id, d.queue_id, d.error_type FROM tidemill.dead_letters d
          WHERE 'failed' = ANY ($3::text[]) AND d.task_id > (SELECT b.after FROM bounds b)
            AND d.task_id >= (SELECT b.lowest FROM bounds b) AND d.task_id < (SELECT b.above FROM bounds b)
          ORDER BY d.task_id LIMIT $10::bigint)
    ) AS w
    ORDER BY w.task_id LIMIT $10::bigint
), found AS (
    SELECT w.task_id
      FROM walked w
     CROSS JOIN LATERAL (
        SELECT t.type, t.priority, t.created_at FROM tidemill.tasks t WHERE t.id = w.task_id LIMIT 1) AS body
     WHERE ($4::text IS NULL OR w.queue_id = (SELECT q.id FROM tidemill.queues q WHERE q.name = $4::text))
       AND ($11::text[] IS NULL OR w.queue_id = ANY (ARRAY(SELECT q.id FROM tidemill.queues q WHERE q.name = ANY ($11))))
       AND ($5::text IS NULL OR body.type = $5::text)
       AND ($6::smallint IS NULL OR body.priority = $6::smallint)
       AND ($7::timestamptz IS NULL OR body.created_at >= $7::timestamptz)
       AND ($8::timestamptz IS NULL OR body.created_at < $8::timestamptz)
       AND ($9::text IS NULL OR w.error_type = $9::text)
     ORDER BY w.task_id LIMIT $1::bigint
)
SELECT w.looked, w.last, f.task_id
  FROM (SELECT count(*) AS looked, (array_agg(task_id ORDER BY task_id DESC))[1] AS last FROM walked) AS w
  LEFT JOIN found f ON true
 ORDER BY f.task_id
