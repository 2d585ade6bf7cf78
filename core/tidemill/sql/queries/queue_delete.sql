-- Purpose: delete a queue that holds no task and has no owner.
-- Parameters: $1 name.
-- Returns its id, or nothing.
-- Locks: the queue's row. queue_delete_lock was taken in an earlier statement.
-- Plan: heads of indexes; a range of scheduled and of dead letters; the counts kept in throughput.
DELETE FROM tidemill.queues q
 WHERE q.name = $1::text AND q.owner_uid IS NULL
   AND NOT EXISTS (SELECT FROM tidemill.ready r WHERE r.queue_id = q.id)
   AND (SELECT coalesce(sum(abs(p.waiting) + abs(p.running) + abs(p.ended)), 0) FROM (
        SELECT sum(x.waiting) AS waiting, sum(x.running) AS running, sum(x.ended) AS ended FROM (
            SELECT t.d_queued + t.d_scheduled AS waiting, t.d_running AS running,
                   t.d_succeeded + t.d_failed + t.d_cancelled AS ended
              FROM tidemill.throughput t
             WHERE t.resolution = 'all' AND t.bucket = 'epoch' AND t.queue_id = q.id
            UNION ALL
            SELECT d.d_queued + d.d_scheduled, d.d_running, d.d_succeeded + d.d_failed + d.d_cancelled
              FROM tidemill.throughput_deltas d WHERE d.queue_id = q.id) AS x) AS p) = 0
RETURNING q.id
