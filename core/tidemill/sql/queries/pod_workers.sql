-- Purpose: the worker processes of pods with their marks and how many tasks each has in hand, for
--   choosing the pods that go.
-- Parameters: $1 uids of pods.
-- Locks: none.
-- Plan: index workers_pod for the pods, index leases_worker for each worker.
SELECT w.id, w.pod_uid, w.container, w.draining, w.cordoned,
       (SELECT count(*) FROM tidemill.leases l WHERE l.worker_id = w.id) AS leases
  FROM tidemill.workers w
 WHERE w.pod_uid = ANY ($1::text[]) AND w.left_at IS NULL
 ORDER BY w.id
