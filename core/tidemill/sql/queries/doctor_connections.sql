-- Purpose: connections by application, in all, to this database and of this login, beside the limits on
--   each of these (null: none). Reserved ones are for superusers and for pg_use_reserved_connections.
-- Locks: none.
SELECT coalesce(a.application_name, '') AS application_name, count(*) AS total,
       count(*) FILTER (WHERE a.datname = current_database()) AS of_database,
       count(*) FILTER (WHERE a.usename = current_user) AS of_login,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true), '0')::integer AS total_limit,
       (SELECT nullif(d.datconnlimit, -1) FROM pg_database d WHERE d.datname = current_database()) AS of_database_limit,
       (SELECT nullif(r.rolconnlimit, -1) FROM pg_roles r WHERE r.rolname = current_user) AS of_login_limit
  FROM pg_stat_activity a
 WHERE a.datname IS NOT NULL AND (a.backend_type IS NULL OR a.backend_type = 'client backend')
 GROUP BY a.application_name
 ORDER BY total DESC, application_name
