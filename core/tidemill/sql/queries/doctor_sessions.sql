-- Purpose: sessions of this database with a snapshot or a transaction id that holds back vacuum, the
--   oldest first. Times, states and statements of other logins are null without pg_read_all_stats; a
--   vacuum holds nothing back, so it is left out.
-- Parameters: $1 most rows.
-- Locks: none.
SELECT a.pid, a.application_name, a.usename::text AS usename, a.state,
       extract(epoch FROM statement_timestamp() - a.xact_start)::double precision AS seconds,
       greatest(age(a.backend_xmin), age(a.backend_xid)) AS transactions
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
   AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
   AND a.usesysid IS NOT NULL -- autovacuum's workers, whose kind may be hidden, are nobody's
   AND (a.backend_type IS NULL OR a.backend_type NOT IN ('walsender', 'parallel worker'))
   AND a.query !~* '^\s*vacuum'
 ORDER BY seconds DESC NULLS LAST, transactions DESC
 LIMIT $1::integer
