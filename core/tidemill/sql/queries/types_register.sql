-- Purpose: register task types with their schemas and defaults; the newest registration wins.
-- Parameters, one array a field: $1 names, sorted; $2 JSON Schemas; $3 descriptions; $4 queues;
--   $5 priorities; $6 retries; $7 timeouts in seconds; $8 retry policies; $9 the app's reference.
-- Locks: the types' rows in name order; rows that would not change are left alone.
INSERT INTO tidemill.task_types AS k (name, schema, description, queue, priority, max_retries, timeout_seconds, retry, app)
SELECT g.name, g.schema, g.description, g.queue, g.priority, g.max_retries, g.timeout, g.retry, $9::text
  FROM unnest($1::text[], $2::json[], $3::text[], $4::text[], $5::smallint[], $6::integer[],
              $7::double precision[], $8::json[])
    AS g (name, schema, description, queue, priority, max_retries, timeout, retry)
ON CONFLICT (name) DO UPDATE SET
    schema = EXCLUDED.schema, description = EXCLUDED.description, queue = EXCLUDED.queue,
    priority = EXCLUDED.priority, max_retries = EXCLUDED.max_retries,
    timeout_seconds = EXCLUDED.timeout_seconds, retry = EXCLUDED.retry, app = EXCLUDED.app,
    updated_at = statement_timestamp()
 WHERE (k.schema::text, k.description, k.queue, k.priority, k.max_retries, k.timeout_seconds, k.retry::text, k.app)
    IS DISTINCT FROM
       (EXCLUDED.schema::text, EXCLUDED.description, EXCLUDED.queue, EXCLUDED.priority, EXCLUDED.max_retries,
        EXCLUDED.timeout_seconds, EXCLUDED.retry::text, EXCLUDED.app)
