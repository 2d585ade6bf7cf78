-- Purpose: put tasks that wait into another queue. Each keeps its place among the tasks of its age,
--   and its idempotency key goes with it.
-- Parameters: $1 task ids, sorted; $2 the other queue; $3 actor.
-- Returns a row for each task that waited: the queue it is in now, its status, and whether it stayed
--   because another task holds its key there.
-- Locks: rows of ready and of scheduled in the order given, waiting for who moves them; keys in
--   (queue, key) order, waiting as long as the transaction's lock_timeout; the bodies.
-- Plan: nested loops over the unique keys on task_id; bodies by primary key.
WITH asked AS MATERIALIZED (
    SELECT a.id FROM unnest($1::uuid[]) AS a (id)
), queued AS MATERIALIZED (
    SELECT r.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id FROM tidemill.ready x WHERE x.task_id = asked.id FOR UPDATE) AS r
), waiting AS MATERIALIZED (
    SELECT s.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id FROM tidemill.scheduled x WHERE x.task_id = asked.id FOR UPDATE) AS s
), keyed AS MATERIALIZED (
    SELECT f.task_id, k.queue_id, k.key, k.fingerprint, k.expires_at
      FROM (SELECT * FROM queued UNION ALL SELECT * FROM waiting) AS f
     CROSS JOIN LATERAL (SELECT b.idempotency_key FROM tidemill.tasks b WHERE b.id = f.task_id LIMIT 1) AS t
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = f.queue_id AND k.key = t.idempotency_key AND k.task_id = f.task_id
     WHERE f.queue_id <> $2::integer
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), taken_keys AS (
    INSERT INTO tidemill.idempotency_keys AS known (queue_id, key, task_id, fingerprint, expires_at)
    SELECT DISTINCT ON (k.key) $2::integer, k.key, k.task_id, k.fingerprint, k.expires_at
      FROM keyed k ORDER BY k.key, k.task_id
    ON CONFLICT (queue_id, key) DO UPDATE
       SET task_id = EXCLUDED.task_id, fingerprint = EXCLUDED.fingerprint, expires_at = EXCLUDED.expires_at
     WHERE known.expires_at <= statement_timestamp()
    RETURNING task_id
), stuck AS MATERIALIZED (
    SELECT k.task_id, k.queue_id FROM keyed k WHERE k.task_id NOT IN (SELECT task_id FROM taken_keys)
), left_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING keyed x
     WHERE k.queue_id = x.queue_id AND k.key = x.key AND x.task_id NOT IN (SELECT task_id FROM stuck)
), unqueued AS (
    DELETE FROM tidemill.ready
     WHERE task_id = ANY (ARRAY(SELECT task_id FROM queued EXCEPT SELECT task_id FROM stuck)) RETURNING *
), queued_there AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT u.seq, u.task_id, $2::integer, u.priority, u.lane, u.retry_count, u.crash_count, u.ready_at, u.group_key
      FROM unqueued u
), unscheduled AS (
    DELETE FROM tidemill.scheduled
     WHERE task_id = ANY (ARRAY(SELECT task_id FROM waiting EXCEPT SELECT task_id FROM stuck)) RETURNING *
), scheduled_there AS (
    INSERT INTO tidemill.scheduled (run_at, task_id, seq, queue_id, priority, retry_count, crash_count, group_key, parked)
    SELECT u.run_at, u.task_id, u.seq, $2::integer, u.priority, u.retry_count, u.crash_count, u.group_key, u.parked
      FROM unscheduled u
), moved AS MATERIALIZED (
    SELECT u.task_id, u.queue_id, u.retry_count, u.crash_count, 'queued' AS status FROM unqueued u
    UNION ALL
    SELECT u.task_id, u.queue_id, u.retry_count, u.crash_count, 'scheduled' FROM unscheduled u
), bodies AS (
    UPDATE tidemill.tasks SET queue_id = $2::integer WHERE id = ANY (ARRAY(SELECT task_id FROM moved))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, finished_at, outcome, retry_count, crash_count, actor)
    SELECT m.task_id, nextval('tidemill.lease_tokens'), $2::integer, statement_timestamp(), 'moved',
           m.retry_count, m.crash_count, $3::text
      FROM moved m
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, d_queued, d_scheduled)
    SELECT f.queue_id, coalesce(sum(f.sign) FILTER (WHERE f.status = 'queued'), 0),
           coalesce(sum(f.sign) FILTER (WHERE f.status = 'scheduled'), 0)
      FROM (SELECT m.queue_id, m.status, -1 AS sign FROM moved m
            UNION ALL
            SELECT $2::integer, m.status, 1 FROM moved m) AS f
     GROUP BY f.queue_id
)
SELECT f.task_id, q.name AS queue, f.status, f.stuck
  FROM (SELECT m.task_id, $2::integer AS queue_id, m.status, false AS stuck FROM moved m
        UNION ALL
        SELECT s.task_id, s.queue_id, CASE WHEN w.task_id IS NULL THEN 'queued' ELSE 'scheduled' END, true
          FROM stuck s LEFT JOIN waiting w ON w.task_id = s.task_id) AS f
  JOIN tidemill.queues q ON q.id = f.queue_id
