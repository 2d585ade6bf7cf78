-- Purpose: write a queue's settings, all but its limits; null = the system's default.
-- Parameters: $1 queue; $2 priority; $3 retries; $4 timeout in seconds; $5 retry policy; $6 lease in
--   seconds; $7 most waiting tasks; $8 accept|reject; $9 seconds until a task starves; keep times in
--   seconds of $10 succeeded, $11 failed, $12 cancelled tasks.
-- Locks: the queue's row (held already).
UPDATE tidemill.queues SET
    priority = $2::smallint, max_retries = $3::integer, timeout_seconds = $4::double precision,
    retry = $5::json, lease_seconds = $6::double precision, max_depth = $7::integer,
    unknown_types = $8::text, starvation_seconds = $9::double precision,
    succeeded_seconds = $10::double precision, failed_seconds = $11::double precision,
    cancelled_seconds = $12::double precision, updated_at = statement_timestamp()
 WHERE id = $1::integer
