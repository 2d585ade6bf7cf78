-- Purpose: scaling decisions for a queue that no TaskQueue owns, newest first: its own, and those for all queues
--   that nobody names ('*'). None for a queue with an owner.
-- Parameters: $1 queue; $2 time and $3 id to start below (null: the newest); $4 most rows.
-- Locks: none.
-- Plan: twice from $2 down by index scaling_decisions_queue.
SELECT id, decided_at, target, queue, replicas, desired, reason, inputs, clamps FROM (
    (SELECT * FROM tidemill.scaling_decisions
      WHERE queue = $1::text
        AND (decided_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::bigint, 9223372036854775807))
      ORDER BY decided_at DESC, id DESC LIMIT $4::bigint)
    UNION ALL
    (SELECT * FROM tidemill.scaling_decisions
      WHERE queue = '*'
        AND (decided_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::bigint, 9223372036854775807))
      ORDER BY decided_at DESC, id DESC LIMIT $4::bigint)
) AS found
 WHERE NOT EXISTS (SELECT FROM tidemill.queues WHERE name = $1 AND owner_name IS NOT NULL)
 ORDER BY decided_at DESC, id DESC
 LIMIT $4::bigint
