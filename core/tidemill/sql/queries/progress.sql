-- Purpose: note how far running tasks have come, for those whose lease is still held.
-- Parameters: $1 task ids, sorted; $2 their tokens; $3 what their handlers say (JSON).
-- Locks: the leases, in the order given.
-- Plan: nested loop over the primary key of leases. No index has the column: updates stay on the page.
WITH held AS MATERIALIZED (
    SELECT l.task_id, asked.progress
      FROM unnest($1::uuid[], $2::bigint[], $3::json[]) AS asked (task_id, lease_token, progress)
     CROSS JOIN LATERAL (
        SELECT x.task_id
          FROM tidemill.leases x
         WHERE x.task_id = asked.task_id AND x.lease_token = asked.lease_token
           FOR UPDATE
     ) AS l
)
UPDATE tidemill.leases l SET progress = h.progress FROM held h WHERE l.task_id = h.task_id
