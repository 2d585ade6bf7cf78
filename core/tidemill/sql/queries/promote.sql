-- Purpose: move tasks that are due to the queue, in order of their times. A retry gets the place it
--   had (lane 0), a task that was never queued a new one.
-- Parameters: $1 most tasks; $2 due from when on, or null (a floor that skips the dead index entries
--   of what was promoted before).
-- Returns one row a queue: its name and how many; and one without a queue: all, and the time.
-- Locks: the due rows, skipping locked ones.
-- Plan: a range of index scheduled_order.
WITH due AS MATERIALIZED (
    SELECT s.task_id, s.seq, s.queue_id, s.priority, s.retry_count, s.crash_count, s.group_key
      FROM tidemill.scheduled s
     WHERE s.run_at <= statement_timestamp() AND s.run_at >= coalesce($2::timestamptz, '-infinity')
     ORDER BY s.run_at LIMIT $1::integer
       FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM due))
), queued AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT coalesce(d.seq, nextval('tidemill.task_seq')), d.task_id, d.queue_id, d.priority,
           (d.seq IS NULL)::integer, d.retry_count, d.crash_count, statement_timestamp(), d.group_key
      FROM due d
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, d_queued, d_scheduled)
    SELECT d.queue_id, count(*), -count(*) FROM due d GROUP BY d.queue_id
)
SELECT q.name AS queue, count(*) AS promoted, NULL AS at
  FROM due d JOIN tidemill.queues q ON q.id = d.queue_id GROUP BY q.name
UNION ALL
SELECT NULL, count(*), statement_timestamp() FROM due
