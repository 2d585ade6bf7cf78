-- Purpose: delete dead letters that are past their queue's keep time: the task with all that is its own.
-- Parameters: $1 default keep time of failed tasks in seconds, $2 most tasks.
-- Returns how many went.
-- Locks: the dead letters and their bodies, skipping locked ones (who replays or deletes
--   came first); then idempotency keys in (queue, key) order, as enqueue does.
-- Plan: for each queue a range of index dead_letters_queue; bodies by primary key, one partition each;
--   then deletions by index, in the days from the first creation to the last end (span).
WITH due AS MATERIALIZED (
    SELECT d.*
      FROM tidemill.queues q
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.failed_at FROM tidemill.dead_letters x
         WHERE x.queue_id >= q.id -- put so that no plan goes through the dead letters of other queues
           AND (x.queue_id, x.failed_at) <= (q.id, statement_timestamp()
                - make_interval(secs => coalesce(q.failed_seconds, $1::double precision)))
         ORDER BY x.queue_id, x.failed_at LIMIT $2::integer
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
), span AS MATERIALIZED (
    SELECT (SELECT g.task_id FROM gone g ORDER BY g.task_id LIMIT 1) AS first,
           (SELECT g.task_id FROM gone g ORDER BY g.task_id DESC LIMIT 1) AS last,
           min(g.created_at) - interval '24 hours' AS since, max(g.failed_at) + interval '24 hours' AS until
      FROM gone g
), letters AS (
    DELETE FROM tidemill.dead_letters WHERE task_id = ANY (ARRAY(SELECT task_id FROM gone))
), bodies AS (
    DELETE FROM tidemill.tasks
     WHERE id = ANY (ARRAY(SELECT task_id FROM gone))
       AND id >= (SELECT first FROM span) AND id <= (SELECT last FROM span)
), history AS (
    DELETE FROM tidemill.attempts
     WHERE task_id = ANY (ARRAY(SELECT task_id FROM gone))
       AND finished_at >= (SELECT since FROM span) AND finished_at <= (SELECT until FROM span)
), free_keys AS MATERIALIZED (
    SELECT k.place
      FROM (SELECT g.* FROM gone g WHERE g.idempotency_key IS NOT NULL ORDER BY g.queue_id, g.idempotency_key) AS o
     CROSS JOIN LATERAL (
        SELECT x.ctid AS place FROM tidemill.idempotency_keys x
         WHERE x.queue_id = o.queue_id AND x.key = o.idempotency_key AND x.task_id = o.task_id
           FOR UPDATE
     ) AS k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys WHERE ctid = ANY (ARRAY(SELECT place FROM free_keys))
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_failed)
    SELECT g.queue_id, count(*), -count(*) FROM gone g GROUP BY g.queue_id
)
SELECT count(*) FROM gone
