-- Purpose: hint that queues have something to claim.
-- Parameters: $1 queue names.
-- Locks: the server's notification queue, at commit.
SELECT pg_notify('tidemill', name) FROM unnest($1::text[]) AS name
