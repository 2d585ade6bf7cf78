-- Purpose: what this login is, sees and may do. `lacking` is what tidemill_app should have and this login
--   does not: empty where our schema is not there.
-- Locks: none.
SELECT current_user::text AS login, r.rolsuper AS superuser,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
       ARRAY(SELECT o.rolname::text FROM pg_roles o
              WHERE o.rolname ~ '^tidemill_(owner|app|operator|producer)$' AND pg_has_role(current_user, o.oid, 'USAGE')
              ORDER BY o.rolname) AS roles,
       ARRAY(SELECT format('%s on tidemill.%s', w.privilege, w.name)
               FROM (VALUES ('ready', 'INSERT'), ('ready', 'DELETE'), ('scheduled', 'INSERT'), ('leases', 'UPDATE'),
                            ('leases', 'DELETE'), ('tasks', 'INSERT'), ('attempts', 'INSERT'), ('queues', 'UPDATE'),
                            ('workers', 'UPDATE'), ('throughput_deltas', 'INSERT'), ('migrations', 'SELECT'))
                 AS w (name, privilege)
               JOIN pg_class c ON c.relname = w.name
               JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tidemill'
              WHERE NOT has_table_privilege(c.oid, w.privilege)
             UNION ALL
             SELECT format('EXECUTE on tidemill.%s', p.proname)
               FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'tidemill'
              WHERE p.proname IN ('enqueue', 'enqueue_many', 'enqueue_rows', 'ensure_partitions')
                AND NOT has_function_privilege(p.oid, 'EXECUTE')
             UNION ALL
             SELECT 'USAGE on the schema tidemill' FROM pg_namespace n
              WHERE n.nspname = 'tidemill' AND NOT has_schema_privilege(n.oid, 'USAGE')) AS lacking
  FROM pg_roles r WHERE r.rolname = current_user
