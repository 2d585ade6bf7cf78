-- Purpose: announce a worker process; each start is a new worker.
-- Parameters: $1 name, $2 slots, $3 queues, $4 version, $5 host, $6 process id, $7 pod uid, $8 pod
--   name, $9 container, $10 start time of the container's first process. $7..$10 may be null.
-- Locks: none.
INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid, pod_uid, pod_name, container, instance)
VALUES ($1::text, $2::integer, $3::text[], $4::text, $5::text, $6::integer, $7::text, $8::text, $9::text, $10::text)
RETURNING id, epoch
