-- Purpose: delete tasks with all that is known of them, unless they run.
-- Parameters: $1 task ids, sorted; $2 the only status to delete, or null. Their bodies are held (bodies_lock), so that no dead letter comes
--   back to life; a task that waits is deleted only if its row is still there to be taken.
-- Returns a row for each task deleted: its queue and the status it had. Others run, or were on their
--   way between two places: the caller looks.
-- Locks: rows of ready, of scheduled and of dead_letters in the order given, waiting for who moves
--   them; then idempotency keys in (queue, key) order.
-- Plan: nested loops over the unique keys on task_id; attempts by index attempts_task from the day of
--   creation on.
WITH asked AS MATERIALIZED (
    SELECT b.* FROM unnest($1::uuid[]) AS a (id)
     CROSS JOIN LATERAL (
        SELECT t.id, t.queue_id, t.created_at, t.idempotency_key FROM tidemill.tasks t WHERE t.id = a.id LIMIT 1) AS b
), queued AS MATERIALIZED (
    SELECT r.task_id FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id FROM tidemill.ready x WHERE x.task_id = asked.id FOR UPDATE) AS r
), waiting AS MATERIALIZED (
    SELECT s.task_id FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id FROM tidemill.scheduled x WHERE x.task_id = asked.id FOR UPDATE) AS s
), ended AS MATERIALIZED (
    -- A task that left ready for a lease while we waited for its row has not ended: its last entry says so.
    SELECT asked.id AS task_id, last.outcome
      FROM asked CROSS JOIN LATERAL (
        SELECT h.outcome FROM tidemill.attempts h
         WHERE h.task_id = asked.id AND h.finished_at >= asked.created_at - interval '1 day'
         ORDER BY h.token DESC LIMIT 1) AS last
     WHERE last.outcome IN ('succeeded', 'failed', 'cancelled')
), gone AS MATERIALIZED (
    SELECT asked.*, f.status
      FROM asked JOIN (
        SELECT task_id, 'queued' AS status FROM queued
        UNION ALL
        SELECT task_id, 'scheduled' FROM waiting
        UNION ALL
        SELECT task_id, outcome FROM ended) AS f ON f.task_id = asked.id
     WHERE $2::text IS NULL OR f.status = $2::text
), unqueued AS (
    DELETE FROM tidemill.ready WHERE task_id = ANY (ARRAY(SELECT id FROM gone))
), unscheduled AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT id FROM gone))
), unburied AS (
    DELETE FROM tidemill.dead_letters WHERE task_id = ANY (ARRAY(SELECT id FROM gone))
), forgotten AS (
    DELETE FROM tidemill.attempts
     WHERE task_id = ANY (ARRAY(SELECT id FROM gone))
       AND finished_at >= (SELECT min(created_at) - interval '1 day' FROM gone)
), bodies AS (
    DELETE FROM tidemill.tasks WHERE id = ANY (ARRAY(SELECT id FROM gone))
), free_keys AS MATERIALIZED (
    SELECT k.queue_id, k.key
      FROM gone g
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = g.queue_id AND k.key = g.idempotency_key AND k.task_id = g.id
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING free_keys f
     WHERE k.queue_id = f.queue_id AND k.key = f.key
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_queued, d_scheduled, d_succeeded, d_failed, d_cancelled)
    SELECT g.queue_id, count(*),
           -count(*) FILTER (WHERE g.status = 'queued'), -count(*) FILTER (WHERE g.status = 'scheduled'),
           -count(*) FILTER (WHERE g.status = 'succeeded'), -count(*) FILTER (WHERE g.status = 'failed'),
           -count(*) FILTER (WHERE g.status = 'cancelled')
      FROM gone g GROUP BY g.queue_id
)
SELECT g.id AS task_id, q.name AS queue, g.status
  FROM gone g JOIN tidemill.queues q ON q.id = g.queue_id
