-- Purpose: run tasks again now: a scheduled one with the place and the counts it has, a dead letter
--   as if it were new. A dead letter takes its idempotency key back for a day.
-- Parameters: $1 task ids, sorted; $2 actor; $3 the only status to act on, or null. Their bodies are held (bodies_share).
-- Returns a row for each task found in one of these places: its queue and the status it has now:
--   queued, or failed where another task holds its key.
-- Locks: rows of scheduled and of dead_letters in the order given; then idempotency keys in
--   (queue, key) order, waiting as long as the transaction's lock_timeout for one being taken.
-- Plan: nested loops over the unique keys on task_id; bodies by primary key.
WITH asked AS MATERIALIZED (
    SELECT a.id FROM unnest($1::uuid[]) AS a (id)
), waiting AS MATERIALIZED (
    SELECT s.* FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id, x.seq, x.queue_id, x.priority, x.retry_count, x.crash_count, x.group_key
          FROM tidemill.scheduled x WHERE x.task_id = asked.id FOR UPDATE) AS s
     WHERE $3::text IS NULL OR $3::text = 'scheduled'
), dead AS MATERIALIZED (
    SELECT d.task_id, b.queue_id, b.priority, b.idempotency_key,
           sha256(convert_to(b.type || chr(10) || b.payload::jsonb::text, 'UTF8')) AS fingerprint
      FROM asked CROSS JOIN LATERAL (
        SELECT x.task_id FROM tidemill.dead_letters x WHERE x.task_id = asked.id FOR UPDATE) AS d
     CROSS JOIN LATERAL (SELECT t.* FROM tidemill.tasks t WHERE t.id = d.task_id LIMIT 1) AS b
     WHERE $3::text IS NULL OR $3::text = 'failed'
), taken_keys AS (
    INSERT INTO tidemill.idempotency_keys AS known (queue_id, key, task_id, fingerprint, expires_at)
    SELECT DISTINCT ON (d.queue_id, d.idempotency_key)
           d.queue_id, d.idempotency_key, d.task_id, d.fingerprint, statement_timestamp() + interval '1 day'
      FROM dead d WHERE d.idempotency_key IS NOT NULL
     ORDER BY d.queue_id, d.idempotency_key, d.task_id
    ON CONFLICT (queue_id, key) DO UPDATE
       SET task_id = EXCLUDED.task_id, fingerprint = EXCLUDED.fingerprint, expires_at = EXCLUDED.expires_at
     WHERE known.expires_at <= statement_timestamp() OR known.task_id = EXCLUDED.task_id
    RETURNING task_id
), revived AS MATERIALIZED (
    SELECT d.* FROM dead d
     WHERE d.idempotency_key IS NULL OR d.task_id IN (SELECT task_id FROM taken_keys)
), unscheduled AS (
    DELETE FROM tidemill.scheduled WHERE task_id = ANY (ARRAY(SELECT task_id FROM waiting))
), buried_no_more AS (
    DELETE FROM tidemill.dead_letters WHERE task_id = ANY (ARRAY(SELECT task_id FROM revived))
), queued AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT coalesce(w.seq, nextval('tidemill.task_seq')), w.task_id, w.queue_id, w.priority,
           (w.seq IS NULL)::integer, w.retry_count, w.crash_count, statement_timestamp(), w.group_key
      FROM waiting w
    UNION ALL
    SELECT nextval('tidemill.task_seq'), r.task_id, r.queue_id, r.priority, 1, 0, 0, statement_timestamp(), NULL
      FROM revived r
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, finished_at, outcome, retry_count, crash_count, actor)
    SELECT f.task_id, nextval('tidemill.lease_tokens'), f.queue_id, statement_timestamp(), 'replayed',
           f.retry_count, f.crash_count, $2::text
      FROM (SELECT w.task_id, w.queue_id, w.retry_count, w.crash_count FROM waiting w
            UNION ALL
            SELECT r.task_id, r.queue_id, 0, 0 FROM revived r) AS f
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, replayed, d_queued, d_scheduled, d_failed)
    SELECT f.queue_id, count(*), count(*), -count(*) FILTER (WHERE NOT f.was_dead), -count(*) FILTER (WHERE f.was_dead)
      FROM (SELECT w.queue_id, false AS was_dead FROM waiting w
            UNION ALL
            SELECT r.queue_id, true FROM revived r) AS f
     GROUP BY f.queue_id
)
SELECT f.task_id, q.name AS queue, f.status
  FROM (SELECT w.task_id, w.queue_id, 'queued' AS status FROM waiting w
        UNION ALL
        SELECT d.task_id, d.queue_id, CASE WHEN r.task_id IS NULL THEN 'failed' ELSE 'queued' END
          FROM dead d LEFT JOIN revived r ON r.task_id = d.task_id) AS f
  JOIN tidemill.queues q ON q.id = f.queue_id
