-- Purpose: remove fine statistics that coarser buckets still hold: 10 s after a day, hours after 30 days.
-- Locks: those rows.
-- Plan: primary key of throughput.
DELETE FROM tidemill.throughput
 WHERE (resolution = '10s' AND bucket < statement_timestamp() - interval '1 day')
    OR (resolution = 'hour' AND bucket < statement_timestamp() - interval '30 days')
