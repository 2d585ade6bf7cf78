-- Purpose: have expired leases taken back now; without it the next look for them does.
-- Locks: none that outlives the statement.
SELECT pg_notify('tidemill_recover', '')
