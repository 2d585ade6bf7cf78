-- Purpose: the next tasks that an act by filter is for, in the order of their ids.
-- Parameters: $1 most tasks; $2 the id to go on after, or null; $3 statuses to look for, of queued,
--   scheduled, running and failed; and what to match, null for anything: $4 queue, $5 type,
--   $6 priority, $7 created at or after, $8 created before, $9 type of the error of a dead letter.
-- Returns their ids.
-- Locks: none: the act looks again.
-- Plan: the unique keys on task_id of each place from $2 on, up to the limit; bodies by primary key.
WITH bounds AS MATERIALIZED (
    SELECT (SELECT q.id FROM tidemill.queues q WHERE q.name = $4::text) AS queue_id,
           coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') AS after
)
SELECT f.task_id
  FROM bounds
 CROSS JOIN LATERAL (
    SELECT * FROM (SELECT r.task_id, r.queue_id, NULL AS error_type FROM tidemill.ready r
      WHERE 'queued' = ANY ($3::text[]) AND r.task_id > bounds.after ORDER BY r.task_id) AS queued
    UNION ALL
    SELECT * FROM (SELECT s.task_id, s.queue_id, NULL FROM tidemill.scheduled s
      WHERE 'scheduled' = ANY ($3::text[]) AND s.task_id > bounds.after ORDER BY s.task_id) AS scheduled
    UNION ALL
    SELECT * FROM (SELECT l.task_id, l.queue_id, NULL FROM tidemill.leases l
      WHERE 'running' = ANY ($3::text[]) AND l.task_id > bounds.after ORDER BY l.task_id) AS running
    UNION ALL
    SELECT * FROM (SELECT d.task_id, d.queue_id, d.error_type FROM tidemill.dead_letters d
      WHERE 'failed' = ANY ($3::text[]) AND d.task_id > bounds.after ORDER BY d.task_id) AS failed
    ORDER BY task_id
 ) AS f
 CROSS JOIN LATERAL (
    SELECT t.type, t.priority, t.created_at FROM tidemill.tasks t WHERE t.id = f.task_id LIMIT 1) AS body
 WHERE ($4::text IS NULL OR f.queue_id = bounds.queue_id)
   AND ($5::text IS NULL OR body.type = $5::text)
   AND ($6::smallint IS NULL OR body.priority = $6::smallint)
   AND ($7::timestamptz IS NULL OR body.created_at >= $7::timestamptz)
   AND ($8::timestamptz IS NULL OR body.created_at < $8::timestamptz)
   AND ($9::text IS NULL OR f.error_type = $9::text)
 ORDER BY f.task_id LIMIT $1::integer
