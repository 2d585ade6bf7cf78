-- Purpose: what is left to do in some queues, for a worker that ends when there is nothing: what
--   waits and may be claimed, what runs anywhere, what is due soon.
-- Parameters: $1 names of queues, NULL = all that no TaskQueue owns; $2 how soon is soon, in seconds;
--   $3 the types that the worker has: what else is scheduled is not for it to wait for.
-- Returns one row: the queues where something waits, whether anything runs, whether anything is due
--   soon. Tasks of paused queues and types wait for a resume, and nobody waits for them.
-- Locks: none. One statement: a task that moves meanwhile is seen in one place.
-- Plan: the head of ready_order for each queue; leases up to the first of these queues; scheduled_order
--   up to $2, stopping at the first of these queues and types, with a body for each looked at.
WITH mine AS MATERIALIZED (
    SELECT q.id, q.name, q.paused OR q.owner_paused AS paused
      FROM tidemill.queues q
     WHERE q.name = ANY ($1::text[]) OR ($1::text[] IS NULL AND q.owner_uid IS NULL)
)
SELECT ARRAY(SELECT m.name
               FROM mine m
              WHERE NOT m.paused AND EXISTS (SELECT FROM tidemill.ready r WHERE r.queue_id = m.id)) AS queued,
       EXISTS (SELECT FROM tidemill.leases l WHERE l.queue_id IN (SELECT m.id FROM mine m)) AS running,
       EXISTS (SELECT
                 FROM tidemill.scheduled s
                WHERE s.run_at <= statement_timestamp() + make_interval(secs => $2::double precision)
                  AND s.parked IS NULL
                  AND s.queue_id IN (SELECT m.id FROM mine m WHERE NOT m.paused)
                  AND EXISTS (SELECT FROM tidemill.tasks t
                               WHERE t.id = s.task_id AND t.type = ANY ($3::text[]))) AS due
