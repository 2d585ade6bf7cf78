-- Purpose: statistics that nobody has folded yet: how many rows, and how old the oldest is, in seconds.
-- Parameters: $1 rows that are counted at most.
-- Locks: none.
-- Plan: the first rows of throughput_deltas by primary key.
SELECT (SELECT count(*) FROM (SELECT FROM tidemill.throughput_deltas LIMIT $1::integer) AS d) AS deltas,
       (SELECT extract(epoch FROM statement_timestamp() - d.at)::double precision
          FROM tidemill.throughput_deltas d ORDER BY d.id LIMIT 1) AS oldest_seconds
