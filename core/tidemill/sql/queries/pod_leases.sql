-- Purpose: how many tasks each worker pod has in hand, for choosing the pods that go.
-- Parameters: $1 uids of pods.
-- Locks: none.
-- Plan: index workers_pod for the pods, index leases_worker for each worker.
SELECT w.pod_uid, count(l.task_id) AS leases
  FROM tidemill.workers w JOIN tidemill.leases l ON l.worker_id = w.id
 WHERE w.pod_uid = ANY ($1::text[])
 GROUP BY w.pod_uid
