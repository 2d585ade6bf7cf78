-- Purpose: analyse the partitioned tables, which autovacuum never does.
-- Locks: SHARE UPDATE EXCLUSIVE on each day, skipping locked ones.
-- Plan: a sample of each day.
SELECT tidemill.analyze_parents()
