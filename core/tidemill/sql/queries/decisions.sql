-- Purpose: scaling decisions for a queue, newest first: those of the TaskQueue that owns it.
-- Parameters: $1 queue; $2 time and $3 id to start below (null: the newest); $4 most rows.
-- Locks: none.
-- Plan: from $2 down by index scaling_decisions_target or scaling_decisions_queue.
SELECT d.id, d.decided_at, d.target, d.queue, d.replicas, d.desired, d.reason, d.inputs, d.clamps
  FROM tidemill.scaling_decisions d
 WHERE d.target = (SELECT q.owner_name FROM tidemill.queues q WHERE q.name = $1::text) AND d.queue = $1
   AND (d.decided_at, d.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::bigint, 9223372036854775807))
 ORDER BY d.decided_at DESC, d.id DESC
 LIMIT $4::bigint
