-- Purpose: cancel tasks that were not started by their expires_at and still wait. (A claim that comes
--   first finds out by itself.)
-- Parameters: $1 and $2 the expires_at and id looked at last, $3 most entries to look at.
-- Returns how many entries were looked at, the last one of them, and how many tasks were cancelled.
-- Locks: rows of ready and scheduled, skipping locked ones (claimed, promoted, cancelled: theirs); then
--   idempotency keys in (queue, key) order, as enqueue does.
-- Plan: an ordered range of index tasks_expires of each day; ready and scheduled by their unique keys.
WITH seen AS MATERIALIZED (
    SELECT t.id, t.queue_id, t.expires_at, t.idempotency_key
      FROM tidemill.tasks t
     WHERE t.expires_at IS NOT NULL AND t.expires_at <= statement_timestamp()
       AND (t.expires_at, t.id) > ($1::timestamptz, $2::uuid)
     ORDER BY t.expires_at, t.id LIMIT $3::integer
), queued AS MATERIALIZED (
    SELECT s.idempotency_key, r.*
      FROM seen s
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.retry_count, x.crash_count FROM tidemill.ready x WHERE x.task_id = s.id
           FOR UPDATE SKIP LOCKED
     ) AS r
), delayed AS MATERIALIZED (
    SELECT s.idempotency_key, l.*
      FROM seen s
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.queue_id, x.retry_count, x.crash_count FROM tidemill.scheduled x WHERE x.task_id = s.id
           FOR UPDATE SKIP LOCKED
     ) AS l
), left_ready AS (
    DELETE FROM tidemill.ready WHERE task_id = ANY (ARRAY(SELECT task_id FROM queued))
), left_scheduled AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM delayed))
), ended AS MATERIALIZED (
    SELECT q.*, true AS was_queued FROM queued q
    UNION ALL
    SELECT d.*, false FROM delayed d
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, finished_at, outcome, retry_count, crash_count, error)
    SELECT e.task_id, nextval('tidemill.lease_tokens'), e.queue_id, statement_timestamp(), 'cancelled',
           e.retry_count, e.crash_count,
           json_build_object('type', 'Expired', 'message', 'not started by its expires_at')
      FROM ended e
), free_keys AS MATERIALIZED (
    SELECT k.place
      FROM (SELECT g.* FROM ended g WHERE g.idempotency_key IS NOT NULL ORDER BY g.queue_id, g.idempotency_key) AS o
     CROSS JOIN LATERAL (
        SELECT x.ctid AS place FROM tidemill.idempotency_keys x
         WHERE x.queue_id = o.queue_id AND x.key = o.idempotency_key AND x.task_id = o.task_id
           FOR UPDATE
     ) AS k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys WHERE ctid = ANY (ARRAY(SELECT place FROM free_keys))
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, cancelled, d_queued, d_scheduled, d_cancelled)
    SELECT e.queue_id, count(*), -count(*) FILTER (WHERE e.was_queued), -count(*) FILTER (WHERE NOT e.was_queued), count(*)
      FROM ended e GROUP BY e.queue_id
)
SELECT (SELECT count(*) FROM seen) AS seen, (SELECT count(*) FROM ended) AS cancelled, last.expires_at, last.id
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT s.expires_at, s.id FROM seen s ORDER BY s.expires_at DESC, s.id DESC LIMIT 1) AS last ON true
