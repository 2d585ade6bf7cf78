-- Purpose: hold the bodies of tasks that are about to live again, so that neither a deletion nor the
--   drop of their day comes in between.
-- Parameters: $1 task ids, sorted.
-- Returns the ids that exist.
-- Locks: the bodies FOR KEY SHARE, in the order given.
-- Plan: nested loop over the primary key, one partition each.
SELECT t.id
  FROM unnest($1::uuid[]) AS asked (id)
 CROSS JOIN LATERAL (SELECT b.id FROM tidemill.tasks b WHERE b.id = asked.id FOR KEY SHARE) AS t
