-- Purpose: cancel tasks: those that wait end here and now; of those that run the worker is asked to.
-- Parameters: $1 task ids, sorted; $2 actor.
-- Returns a row for each task that was found in one of these places: its queue, the status it has
--   now, and the worker to tell. Others have ended, do not exist, or were on their way between two
--   places: the caller asks again.
-- Locks: rows of ready, of scheduled and of leases in the order given, waiting for who moves them;
--   then idempotency keys in (queue, key) order, as enqueue does.
-- Plan: nested loops over the unique keys on task_id; bodies by primary key.
WITH asked AS MATERIALIZED (
    SELECT a.id FROM unnest($1::uuid[]) AS a (id)
), queued AS MATERIALIZED (
    SELECT r.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.retry_count, x.crash_count
          FROM tidemill.ready x WHERE x.task_id = asked.id FOR UPDATE) AS r
), waiting AS MATERIALIZED (
    SELECT s.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.retry_count, x.crash_count
          FROM tidemill.scheduled x WHERE x.task_id = asked.id FOR UPDATE) AS s
), running AS MATERIALIZED (
    SELECT l.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.worker_id
          FROM tidemill.leases x WHERE x.task_id = asked.id FOR UPDATE) AS l
), unqueued AS (
    DELETE FROM tidemill.ready WHERE task_id = ANY (ARRAY(SELECT task_id FROM queued))
), unscheduled AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM waiting))
), told AS (
    UPDATE tidemill.leases SET cancel_requested_at = coalesce(cancel_requested_at, statement_timestamp())
     WHERE task_id = ANY (ARRAY(SELECT task_id FROM running))
), ended AS MATERIALIZED (
    SELECT e.*, t.idempotency_key
      FROM (SELECT queued.*, true AS was_queued FROM queued
            UNION ALL
            SELECT waiting.*, false FROM waiting) AS e
      LEFT JOIN LATERAL (SELECT b.idempotency_key FROM tidemill.tasks b WHERE b.id = e.task_id LIMIT 1) AS t ON true
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, finished_at, outcome, retry_count, crash_count, actor)
    SELECT e.task_id, nextval('tidemill.lease_tokens'), e.queue_id, statement_timestamp(), 'cancelled',
           e.retry_count, e.crash_count, $2::text
      FROM ended e
), free_keys AS MATERIALIZED (
    SELECT k.queue_id, k.key
      FROM ended e
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = e.queue_id AND k.key = e.idempotency_key AND k.task_id = e.task_id
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING free_keys f
     WHERE k.queue_id = f.queue_id AND k.key = f.key
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, cancelled, d_queued, d_scheduled, d_cancelled)
    SELECT e.queue_id, count(*), -count(*) FILTER (WHERE e.was_queued),
           -count(*) FILTER (WHERE NOT e.was_queued), count(*)
      FROM ended e GROUP BY e.queue_id
)
SELECT f.task_id, q.name AS queue, f.status, f.worker_id
  FROM (SELECT e.task_id, e.queue_id, 'cancelled' AS status, NULL::bigint AS worker_id FROM ended e
        UNION ALL
        SELECT r.task_id, r.queue_id, 'running', r.worker_id FROM running r) AS f
  JOIN tidemill.queues q ON q.id = f.queue_id
