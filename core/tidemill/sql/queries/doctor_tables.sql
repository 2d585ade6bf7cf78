-- Purpose: the tables that change all the time: live and dead rows, the last vacuum, sizes in bytes,
--   storage settings, and where and how often (seconds) autovacuum starts on them.
-- Parameters: $1 names of tables.
-- Locks: none.
SELECT c.relname::text AS name, coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead,
       extract(epoch FROM statement_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::double precision
           AS vacuumed_seconds,
       pg_table_size(c.oid) AS heap_bytes, pg_indexes_size(c.oid) AS index_bytes,
       coalesce(c.reloptions, '{}') AS options,
       coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold'))::double precision AS vacuum_threshold,
       coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor'))::double precision AS vacuum_scale_factor,
       (SELECT n.setting::integer FROM pg_settings n WHERE n.name = 'autovacuum_naptime') AS naptime_seconds
  FROM pg_class c
  LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
 CROSS JOIN LATERAL (
      SELECT max(split_part(option, '=', 2)) FILTER (WHERE option LIKE 'autovacuum_vacuum_threshold=%') AS threshold,
             max(split_part(option, '=', 2)) FILTER (WHERE option LIKE 'autovacuum_vacuum_scale_factor=%') AS scale
        FROM unnest(c.reloptions) AS option
 ) AS o
 WHERE c.relnamespace = 'tidemill'::regnamespace AND c.relkind = 'r' AND c.relname = ANY ($1::text[])
 ORDER BY c.relname
