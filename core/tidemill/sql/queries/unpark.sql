-- Purpose: a task type runs again: bring back tasks that waited for it, to the place they had.
-- Parameters: $1 type, $2 most tasks.
-- Returns one row a queue: its name and how many.
-- Locks: those rows, skipping locked ones.
-- Plan: index scheduled_parked.
WITH parked AS MATERIALIZED (
    SELECT s.task_id, s.seq, s.queue_id, s.priority, s.retry_count, s.crash_count, s.group_key
      FROM tidemill.scheduled s
     WHERE s.parked = $1::text LIMIT $2::integer
       FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM parked))
), queued AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT coalesce(p.seq, nextval('tidemill.task_seq')), p.task_id, p.queue_id, p.priority, 0,
           p.retry_count, p.crash_count, statement_timestamp(), p.group_key
      FROM parked p
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, d_queued, d_scheduled)
    SELECT p.queue_id, count(*), -count(*) FROM parked p GROUP BY p.queue_id
)
SELECT q.name AS queue, count(*) AS returned
  FROM parked p JOIN tidemill.queues q ON q.id = p.queue_id GROUP BY q.name
