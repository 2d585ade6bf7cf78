-- Purpose: enqueue a batch, all or nothing.
-- Parameters: one array a field, equal in length, or null where no task gives the field; see
--   tidemill.enqueue_rows. $7 delay, $9 timeout, $12 key's time to live: seconds. $15 accept|reject; $16 whether
--   a queue that does not exist is created.
-- Locks: new rows only; idempotency keys in (queue, key) order, waiting 2 s at most.
-- Plan: inserts from one function call.
SELECT id, status, created, queue, priority, max_retries, timeout_seconds, retry, created_at, run_at
  FROM tidemill.enqueue_rows(
       $1::text[], $2::json[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[],
       $7::double precision[], $8::integer[], $9::double precision[], $10::json[], $11::text[],
       $12::double precision[], $13::timestamptz[], $14::json[], $15::text, $16::boolean)
