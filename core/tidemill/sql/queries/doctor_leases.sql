-- Purpose: leases that ran out more than $1 seconds ago and that no recovery has taken back. The leases of
--   a buried worker end at -infinity: for these the time since the claim counts.
-- Parameters: $1 seconds.
-- Locks: none.
SELECT count(*) AS expired, max(extract(epoch FROM statement_timestamp() - l.since))::double precision AS oldest_seconds
  FROM (SELECT greatest(x.locked_until, x.claimed_at) AS since FROM tidemill.leases x
         WHERE x.locked_until < statement_timestamp() - make_interval(secs => $1::double precision)) AS l
 WHERE l.since < statement_timestamp() - make_interval(secs => $1::double precision)
