-- Purpose: lease up to $3 tasks to a worker, in one round trip.
-- Parameters: $1 worker, $2 its epoch, $3 most tasks, $4 lease in seconds where the queue sets none;
--   $5..$9 ranges to read in this order: queue, priority, lane and least seq (a hint that skips the
--   dead index entries of what was claimed before), or without a lane all between priority and $9;
--   $10 queues to read whole, before the ranges; $11 queues of which only the task that waits longest
--   in the lowest priority is taken, if it is starved; $12 whether limited queues may be read: their
--   limits' rows are locked then. A queue comes in one of the three only.
-- Locks: the worker's row FOR SHARE (a drain that marks it waits for us, or we see its mark); each
--   picked row of ready, skipping locked ones. Nothing waits but the worker's row.
-- Plan: nested loops over index ready_order, read lazily up to the limit, so only picked rows get
--   locked; deletion by ctid, safe because rows of ready are never updated; bodies by primary key,
--   one partition each. A starved task is found at the end of its queue's part of ready_order. Answers in
--   the order of the pick, whatever the joins do.
WITH worker AS MATERIALIZED (
    SELECT w.id FROM tidemill.workers w
     WHERE w.id = $1::bigint AND w.epoch = $2::integer AND NOT w.draining AND NOT w.cordoned
       FOR SHARE
), picked AS MATERIALIZED (
    SELECT found.* FROM (
        SELECT plain.*
          FROM unnest($10::integer[]) AS whole (queue_id)
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place, r.seq, r.task_id, r.queue_id, r.priority, r.lane,
                   r.retry_count, r.crash_count, r.ready_at, r.group_key
              FROM tidemill.ready r
             WHERE r.queue_id = whole.queue_id
               AND (SELECT NOT (q.paused OR q.owner_paused OR (q.limited AND NOT $12::boolean)) FROM tidemill.queues q WHERE q.id = whole.queue_id)
             ORDER BY r.priority DESC, r.lane, r.seq LIMIT $3::integer
               FOR UPDATE SKIP LOCKED
         ) AS plain
        UNION ALL
        SELECT hinted.*
          FROM unnest($5::integer[], $6::integer[], $7::smallint[], $8::bigint[], $9::integer[])
            AS hint (queue_id, priority, lane, least, beyond)
         CROSS JOIN LATERAL (
            SELECT known.* FROM (
                SELECT r.ctid AS place, r.seq, r.task_id, r.queue_id, r.priority, r.lane,
                       r.retry_count, r.crash_count, r.ready_at, r.group_key
                  FROM tidemill.ready r
                 WHERE r.queue_id = hint.queue_id AND r.priority = hint.priority
                   AND r.lane = hint.lane AND r.seq >= hint.least AND hint.lane IS NOT NULL
                   AND (SELECT NOT (q.paused OR q.owner_paused OR (q.limited AND NOT $12::boolean)) FROM tidemill.queues q WHERE q.id = hint.queue_id)
                 ORDER BY r.seq LIMIT $3::integer
                   FOR UPDATE SKIP LOCKED
            ) AS known
            UNION ALL
            SELECT between_them.* FROM (
                SELECT r.ctid AS place, r.seq, r.task_id, r.queue_id, r.priority, r.lane,
                       r.retry_count, r.crash_count, r.ready_at, r.group_key
                  FROM tidemill.ready r
                 WHERE r.queue_id = hint.queue_id AND r.priority < hint.priority AND r.priority > hint.beyond
                   AND hint.lane IS NULL
                   AND (SELECT NOT (q.paused OR q.owner_paused OR (q.limited AND NOT $12::boolean)) FROM tidemill.queues q WHERE q.id = hint.queue_id)
                 ORDER BY r.priority DESC, r.lane, r.seq LIMIT $3::integer
                   FOR UPDATE SKIP LOCKED
            ) AS between_them
         ) AS hinted
        UNION ALL
        SELECT starved.*
          FROM unnest($11::integer[]) AS guarded (queue_id)
          JOIN tidemill.queues q
            ON q.id = guarded.queue_id AND NOT (q.paused OR q.owner_paused OR (q.limited AND NOT $12::boolean))
         CROSS JOIN LATERAL (
            SELECT x.priority FROM tidemill.ready x WHERE x.queue_id = q.id
             ORDER BY x.priority, x.lane DESC, x.seq DESC LIMIT 1
         ) AS lowest
         CROSS JOIN LATERAL (
            SELECT head.place FROM (VALUES (0::smallint), (1::smallint)) AS lanes (lane)
             CROSS JOIN LATERAL (
                SELECT x.ctid AS place, x.ready_at FROM tidemill.ready x
                 WHERE x.queue_id = q.id AND x.priority = lowest.priority AND x.lane = lanes.lane
                 ORDER BY x.seq LIMIT 1
             ) AS head
             WHERE coalesce(q.starvation_seconds, 600) > 0
               AND head.ready_at <= statement_timestamp() - make_interval(secs => coalesce(q.starvation_seconds, 600))
             ORDER BY head.ready_at LIMIT 1
         ) AS oldest
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place, r.seq, r.task_id, r.queue_id, r.priority, r.lane,
                   r.retry_count, r.crash_count, r.ready_at, r.group_key
              FROM tidemill.ready r WHERE r.ctid = oldest.place
               FOR UPDATE SKIP LOCKED
         ) AS starved
    ) AS found
    WHERE EXISTS (SELECT FROM worker)
    LIMIT $3::integer
), taken AS (
    DELETE FROM tidemill.ready WHERE ctid = ANY (ARRAY(SELECT place FROM picked))
), leased AS MATERIALIZED (
    SELECT p.*, nextval('tidemill.lease_tokens') AS lease_token,
           coalesce(q.lease_seconds, $4::double precision) AS lease_seconds
      FROM (SELECT picked.*, row_number() OVER () AS turn FROM picked) AS p
      LEFT JOIN tidemill.queues q ON q.id = p.queue_id
), written AS (
    INSERT INTO tidemill.leases (task_id, lease_token, worker_id, locked_until, claimed_at, seq,
                                 queue_id, priority, retry_count, crash_count, group_key, limited_queue)
    SELECT l.task_id, l.lease_token, $1::bigint, statement_timestamp() + make_interval(secs => l.lease_seconds),
           statement_timestamp(), l.seq, l.queue_id, l.priority, l.retry_count, l.crash_count, l.group_key,
           CASE WHEN $12::boolean THEN l.queue_id END
      FROM leased l
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, started, d_queued, d_running, waits)
    SELECT w.queue_id, sum(w.tasks), -sum(w.tasks), sum(w.tasks), ARRAY[
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 0), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 1), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 2), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 3), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 4), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 5), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 6), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 7), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 8), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 9), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 10), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 11), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 12), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 13), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 14), 0), coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 15), 0),
           coalesce(sum(w.tasks) FILTER (WHERE w.bucket = 16), 0)]
      FROM (SELECT p.queue_id, count(*) AS tasks,
                   width_bucket(date_part('epoch', statement_timestamp() - p.ready_at), tidemill.wait_bounds()) AS bucket
              FROM picked p GROUP BY p.queue_id, bucket) AS w -- grouped here: a bucket is found once a task
     GROUP BY w.queue_id
)
SELECT l.task_id, l.lease_token, l.lease_seconds, l.queue_id, l.priority, l.seq, l.lane,
       l.retry_count, l.crash_count,
       body.id IS NOT NULL AS has_body, body.type, body.name, body.payload, body.headers, body.retry,
       body.max_retries, body.timeout_seconds, body.created_at, body.expires_at,
       coalesce(body.expires_at <= statement_timestamp(), false) AS expired,
       coalesce(body.type = ANY (ARRAY(SELECT k.name FROM tidemill.task_types k WHERE k.paused)), false) AS type_paused,
       date_part('epoch', statement_timestamp() - l.ready_at) AS waited_seconds
  FROM leased l
  LEFT JOIN LATERAL (SELECT t.* FROM tidemill.tasks t WHERE t.id = l.task_id LIMIT 1) AS body ON true
 ORDER BY l.turn
