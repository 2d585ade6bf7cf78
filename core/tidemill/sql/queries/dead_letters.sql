-- Purpose: a page of dead letters, newest first.
-- Parameters: what to match, null for anything: $1 queue, $2 type, $3 type of the error; $4 and $5
--   time of failure and id of the last one seen, or null; $6 most rows; $7 names of the queues that
--   may be seen, or null for all.
-- Locks: none.
-- Plan: backwards along dead_letters_failed, or dead_letters_queue with a queue given, up to the limit;
--   bodies by primary key, last attempts by index attempts_task.
WITH page AS MATERIALIZED (
    SELECT d.* FROM tidemill.dead_letters d
     WHERE ($1::text IS NULL OR d.queue_id = (SELECT x.id FROM tidemill.queues x WHERE x.name = $1::text))
       AND ($7::text[] IS NULL OR d.queue_id = ANY (ARRAY(SELECT x.id FROM tidemill.queues x WHERE x.name = ANY ($7))))
       AND ($2::text IS NULL OR d.type = $2::text)
       AND ($3::text IS NULL OR d.error_type = $3::text)
       AND ($4::timestamptz IS NULL OR (d.failed_at, d.task_id) < ($4::timestamptz, $5::uuid))
     ORDER BY d.failed_at DESC, d.task_id DESC LIMIT $6::integer
)
SELECT d.task_id, q.name AS queue, d.type, t.name, d.failed_at, d.retry_count, d.crash_count,
       d.error_type, a.error
  FROM page d
  JOIN tidemill.queues q ON q.id = d.queue_id
  LEFT JOIN LATERAL (SELECT b.name, b.created_at FROM tidemill.tasks b WHERE b.id = d.task_id LIMIT 1) AS t ON true
  LEFT JOIN LATERAL (
    SELECT h.error FROM tidemill.attempts h
     WHERE h.task_id = d.task_id AND h.finished_at >= t.created_at - interval '1 day'
     ORDER BY h.token DESC LIMIT 1) AS a ON true
 ORDER BY d.failed_at DESC, d.task_id DESC
