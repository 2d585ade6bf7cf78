-- Purpose: how often in a row tasks went back because the worker that claimed them lacked their type,
--   and since when: what decides about the next delay, and about giving up.
-- Parameters: $1 task ids; $2 a time before any of them can have been claimed (the oldest creation).
-- Returns a row for each task that went back so. A handler that ran, or a replay, starts the row anew.
-- Locks: none.
-- Plan: index attempts_task, in the partitions from $2 on; only for tasks of an unknown type.
SELECT asked.task_id, count(*) AS times,
       date_part('epoch', statement_timestamp() - min(returned.finished_at)) AS seconds
  FROM unnest($1::uuid[]) AS asked (task_id)
 CROSS JOIN LATERAL (
    SELECT coalesce(max(a.token), 0) AS token
      FROM tidemill.attempts a
     WHERE a.task_id = asked.task_id AND a.finished_at >= $2::timestamptz
       AND (a.started_at IS NOT NULL OR a.outcome = 'replayed')
 ) AS known
 CROSS JOIN LATERAL (
    SELECT a.finished_at
      FROM tidemill.attempts a
     WHERE a.task_id = asked.task_id AND a.finished_at >= $2::timestamptz
       AND a.token > known.token AND a.outcome = 'snoozed' AND a.error ->> 'type' = 'UnknownType'
 ) AS returned
 GROUP BY asked.task_id
