-- Purpose: delete dead letters that are past their queue's keep time: the task with all that is its own.
-- Parameters: $1 default keep time of failed tasks in seconds, $2 most tasks.
-- Returns how many went.
-- Locks: the dead letters and their bodies, skipping locked ones (who replays or deletes
--   came first); then idempotency keys in (queue, key) order, as enqueue does.
-- Plan: for each queue a range of index dead_letters_queue; bodies by primary key, one partition each;
--   history by index attempts_task of the days from creation to the end.
WITH due AS MATERIALIZED (
    SELECT d.*
      FROM tidemill.queues q
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.failed_at FROM tidemill.dead_letters x
         WHERE x.queue_id = q.id
           AND x.failed_at <= statement_timestamp() - make_interval(secs => coalesce(q.failed_seconds, $1::double precision))
         ORDER BY x.failed_at LIMIT $2::integer
           FOR UPDATE SKIP LOCKED
     ) AS d
     LIMIT $2::integer
), gone AS MATERIALIZED (
    SELECT d.task_id, d.queue_id, d.failed_at, b.created_at, b.idempotency_key
      FROM due d
      LEFT JOIN LATERAL (
        SELECT t.id, t.created_at, t.idempotency_key FROM tidemill.tasks t WHERE t.id = d.task_id
           FOR UPDATE SKIP LOCKED
     ) AS b ON true
     WHERE b.id IS NOT NULL OR NOT EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = d.task_id)
), letters AS (
    DELETE FROM tidemill.dead_letters WHERE task_id = ANY (ARRAY(SELECT task_id FROM gone))
), bodies AS (
    DELETE FROM tidemill.tasks t USING gone g WHERE t.id = g.task_id
), history AS (
    DELETE FROM tidemill.attempts a USING gone g
     WHERE a.task_id = g.task_id AND a.finished_at >= g.created_at - interval '24 hours'
       AND a.finished_at <= g.failed_at + interval '24 hours'
), free_keys AS MATERIALIZED (
    SELECT k.queue_id, k.key
      FROM gone g
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = g.queue_id AND k.key = g.idempotency_key AND k.task_id = g.task_id
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING free_keys f
     WHERE k.queue_id = f.queue_id AND k.key = f.key
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_failed)
    SELECT g.queue_id, count(*), -count(*) FROM gone g GROUP BY g.queue_id
)
SELECT count(*) FROM gone
