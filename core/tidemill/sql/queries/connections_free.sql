-- Purpose: how many more connections the server and this database take, for workers to come.
-- Reserved ones are for superusers and pg_use_reserved_connections.
-- Locks: none.
SELECT least(
           current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
               - coalesce(current_setting('reserved_connections', true), '0')::integer - a.total,
           (SELECT nullif(d.datconnlimit, -1) FROM pg_database d WHERE d.datname = current_database()) - a.of_database) AS free
  FROM (SELECT count(*) AS total, count(*) FILTER (WHERE datname = current_database()) AS of_database
          FROM pg_stat_activity
         WHERE datname IS NOT NULL AND (backend_type IS NULL OR backend_type = 'client backend')) AS a
