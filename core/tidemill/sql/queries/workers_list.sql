-- Purpose: the worker processes that have not left, with how many tasks each holds.
-- Parameters: $1 id to start above (null: from the first), $2 most to return; $3 names of the queues
--   that may be seen, or null for all: then those that claim from them, and what they hold of them.
-- Locks: none.
-- Plan: primary key of workers; index leases_worker for each.
SELECT w.id, w.name, w.hostname, w.pid, w.pod_name, w.version, w.queues, w.slots,
       (SELECT count(*) FROM tidemill.leases l
         WHERE l.worker_id = w.id
           AND ($3::text[] IS NULL OR l.queue_id = ANY (ARRAY(SELECT q.id FROM tidemill.queues q WHERE q.name = ANY ($3))))) AS running,
       w.draining, w.cordoned, w.started_at, w.seen_at,
       extract(epoch FROM statement_timestamp() - w.seen_at)::double precision AS seen_seconds
  FROM tidemill.workers w
 WHERE w.left_at IS NULL AND w.id > coalesce($1::bigint, 0)
   AND ($3 IS NULL OR w.queues && ($3 || '*'::text))
 ORDER BY w.id LIMIT $2::bigint
