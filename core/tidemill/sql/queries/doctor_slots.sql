-- Purpose: replication slots, what they keep of the write-ahead log (bytes) and of dead rows (transactions).
-- Locks: none.
SELECT s.slot_name::text AS slot_name, s.slot_type, s.active, s.wal_status,
       CASE WHEN NOT pg_is_in_recovery()
            THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END::bigint AS wal_bytes,
       age(s.xmin) AS transactions, age(s.catalog_xmin) AS catalog_transactions
  FROM pg_replication_slots s
 ORDER BY s.slot_name
