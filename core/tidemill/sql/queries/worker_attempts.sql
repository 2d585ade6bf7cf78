-- Purpose: what one worker's attempts came to, with the task of each, in the order they ended. For
--   tests of tasks: it reads every attempt that is kept.
-- Parameters: $1 worker.
-- Locks: none.
-- Plan: attempts from first to last; bodies and queues by primary key.
SELECT a.task_id, t.type, q.name AS queue, t.payload, a.attempt, a.outcome, a.result, a.error, a.run_at
  FROM tidemill.attempts a
 CROSS JOIN LATERAL (SELECT b.type, b.payload FROM tidemill.tasks b WHERE b.id = a.task_id LIMIT 1) AS t
  JOIN tidemill.queues q ON q.id = a.queue_id
 WHERE a.worker_id = $1::bigint
 ORDER BY a.finished_at, a.token
