-- Purpose: standbys and what they ask us to keep for their queries, in transactions.
-- Locks: none.
SELECT r.pid, r.application_name, age(r.backend_xmin) AS transactions
  FROM pg_stat_replication r
 ORDER BY r.pid
