-- Purpose: remove fine statistics that coarser buckets still hold: 10 s after a day, hours after 30 days.
-- Locks: those rows.
-- Plan: two ranges of the primary key of throughput.
DELETE FROM tidemill.throughput t
 USING (VALUES ('10s', interval '1 day'), ('hour', interval '30 days')) AS keep (resolution, age)
 WHERE t.resolution = keep.resolution AND t.bucket < statement_timestamp() - keep.age
