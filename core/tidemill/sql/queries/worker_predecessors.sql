-- Purpose: workers that lived in this very container before its restart: they are dead.
-- Parameters: $1 pod uid, $2 container, $3 this container's instance.
-- Locks: none.
-- Plan: index workers_pod.
SELECT id FROM tidemill.workers
 WHERE pod_uid = $1::text AND container = $2::text AND instance <> $3::text AND left_at IS NULL
