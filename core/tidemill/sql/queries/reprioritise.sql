-- Purpose: give tasks that wait another priority. Each keeps its place among the tasks of its age.
-- Parameters: $1 task ids, sorted; $2 priority; $3 actor.
-- Returns a row for each task that waited: its queue and its status.
-- Locks: rows of ready and of scheduled in the order given, waiting for who moves them; the bodies.
-- Plan: nested loops over the unique keys on task_id; bodies by primary key.
WITH asked AS MATERIALIZED (
    SELECT a.id FROM unnest($1::uuid[]) AS a (id)
), queued AS MATERIALIZED (
    SELECT r.task_id FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id FROM tidemill.ready x WHERE x.task_id = asked.id FOR UPDATE) AS r
), waiting AS MATERIALIZED (
    SELECT s.task_id FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id FROM tidemill.scheduled x WHERE x.task_id = asked.id FOR UPDATE) AS s
), unqueued AS (
    DELETE FROM tidemill.ready WHERE task_id = ANY (ARRAY(SELECT task_id FROM queued)) RETURNING *
), queued_anew AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT u.seq, u.task_id, u.queue_id, $2::smallint, u.lane, u.retry_count, u.crash_count, u.ready_at, u.group_key
      FROM unqueued u
), unscheduled AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM waiting)) RETURNING *
), scheduled_anew AS (
    INSERT INTO tidemill.scheduled (run_at, task_id, seq, queue_id, priority, retry_count, crash_count, group_key, parked)
    SELECT u.run_at, u.task_id, u.seq, u.queue_id, $2::smallint, u.retry_count, u.crash_count, u.group_key, u.parked
      FROM unscheduled u
), changed AS MATERIALIZED (
    SELECT u.task_id, u.queue_id, u.retry_count, u.crash_count, 'queued' AS status FROM unqueued u
    UNION ALL
    SELECT u.task_id, u.queue_id, u.retry_count, u.crash_count, 'scheduled' FROM unscheduled u
), bodies AS (
    UPDATE tidemill.tasks SET priority = $2::smallint WHERE id = ANY (ARRAY(SELECT task_id FROM changed))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, finished_at, outcome, retry_count, crash_count, actor)
    SELECT c.task_id, nextval('tidemill.lease_tokens'), c.queue_id, statement_timestamp(), 'reprioritised',
           c.retry_count, c.crash_count, $3::text
      FROM changed c
)
SELECT c.task_id, q.name AS queue, c.status
  FROM changed c JOIN tidemill.queues q ON q.id = c.queue_id
