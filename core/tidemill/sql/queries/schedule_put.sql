-- Purpose: create or replace a schedule; what it has fired stays known.
-- Parameters: $1 name ... $13 ends_at in the order of the columns, $14 paused, $15 next slot, $16 app.
-- Locks: its row.
-- Plan: primary key.
INSERT INTO tidemill.schedules AS s (
       name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, app)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::json, $6::text, $7::smallint, $8::integer,
        $9::double precision, $10::json, $11::json, $12::text, $13::timestamptz, $14::boolean,
        $15::timestamptz, $16::text)
ON CONFLICT (name) DO UPDATE
   SET cron = EXCLUDED.cron, time_zone = EXCLUDED.time_zone, type = EXCLUDED.type, payload = EXCLUDED.payload,
       queue = EXCLUDED.queue, priority = EXCLUDED.priority, max_retries = EXCLUDED.max_retries,
       timeout_seconds = EXCLUDED.timeout_seconds, retry = EXCLUDED.retry, headers = EXCLUDED.headers,
       missed = EXCLUDED.missed, ends_at = EXCLUDED.ends_at, paused = EXCLUDED.paused,
       next_slot = EXCLUDED.next_slot, app = EXCLUDED.app, last_error = NULL, last_error_at = NULL,
       updated_at = statement_timestamp()
RETURNING name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, last_slot, last_error, last_error_at, app, created_at, updated_at,
          xmax = 0 AS created
