-- Purpose: the server's version, its mode, and the settings that decide about durability and vacuum, and
--   those that come from elsewhere than the server's configuration.
-- Locks: none.
SELECT current_setting('server_version_num')::integer AS version_num, current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery, current_user::text AS login, current_database()::text AS database,
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit, current_setting('autovacuum') AS autovacuum,
       current_setting('track_counts') AS track_counts, current_setting('track_activities') AS track_activities,
       current_setting('default_transaction_isolation') AS default_transaction_isolation,
       current_setting('default_transaction_read_only') AS default_transaction_read_only,
       ARRAY(SELECT format('%s=%s', name, source) FROM pg_settings
              WHERE source IN ('client', 'command line', 'database', 'user', 'database user')) AS sources
