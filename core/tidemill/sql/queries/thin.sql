-- Purpose: delete tasks that succeeded or were cancelled and are past their keep time, found by their
--   ends in a few pages of one day of attempts, with their history. A key outlives its task.
-- Parameters: $1 start of the day, $2 its end, $3 first place in its partition, $4 the place beyond the
--   last, $5 keep time in seconds: only tasks of queues and statuses with this one; $6 and $7 default
--   keep times of succeeded and cancelled in seconds; $8 most tasks.
-- Returns how many went, and whether some in these pages are left: not yet due, locked or too many.
-- Locks: the bodies, skipping locked ones.
-- Plan: a range of places (TID) of one partition; bodies by primary key, one partition each; then both
--   deletions by index, in the days from the first creation to the last end (span).
WITH ends AS MATERIALIZED (
    SELECT a.task_id, a.outcome, a.finished_at,
           a.finished_at <= statement_timestamp() - make_interval(secs => $5::double precision) AS due
      FROM tidemill.attempts a
     WHERE a.finished_at >= $1::timestamptz AND a.finished_at < $2::timestamptz
       AND a.ctid >= $3::tid AND a.ctid < $4::tid
       AND a.outcome IN ('succeeded', 'cancelled')
       AND $5::double precision = (
           SELECT CASE a.outcome WHEN 'succeeded' THEN coalesce(max(q.succeeded_seconds), $6::double precision)
                                 ELSE coalesce(max(q.cancelled_seconds), $7::double precision) END
             FROM tidemill.queues q WHERE q.id = a.queue_id)
), gone AS MATERIALIZED (
    SELECT b.id, b.queue_id, b.created_at, e.outcome, e.finished_at
      FROM ends e
     CROSS JOIN LATERAL (
        SELECT t.id, t.queue_id, t.created_at FROM tidemill.tasks t WHERE t.id = e.task_id
           FOR UPDATE SKIP LOCKED
     ) AS b
     WHERE e.due
     LIMIT $8::integer
), span AS MATERIALIZED (
    SELECT (SELECT g.id FROM gone g ORDER BY g.id LIMIT 1) AS first, (SELECT g.id FROM gone g ORDER BY g.id DESC LIMIT 1) AS last,
           min(g.created_at) - interval '24 hours' AS since, max(g.finished_at) + interval '24 hours' AS until
      FROM gone g
), bodies AS (
    DELETE FROM tidemill.tasks
     WHERE id = ANY (ARRAY(SELECT id FROM gone))
       AND id >= (SELECT first FROM span) AND id <= (SELECT last FROM span)
), history AS (
    DELETE FROM tidemill.attempts
     WHERE task_id = ANY (ARRAY(SELECT id FROM gone))
       AND finished_at >= (SELECT since FROM span) AND finished_at <= (SELECT until FROM span)
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_succeeded, d_cancelled)
    SELECT g.queue_id, count(*), -count(*) FILTER (WHERE g.outcome = 'succeeded'),
           -count(*) FILTER (WHERE g.outcome = 'cancelled')
      FROM gone g GROUP BY g.queue_id
)
SELECT (SELECT count(*) FROM gone) AS gone,
       EXISTS (SELECT FROM gone)
    OR EXISTS (SELECT FROM ends e WHERE NOT e.due)
    OR EXISTS (SELECT FROM ends e
                CROSS JOIN LATERAL (SELECT t.id FROM tidemill.tasks t WHERE t.id = e.task_id LIMIT 1) AS b) AS left_over
