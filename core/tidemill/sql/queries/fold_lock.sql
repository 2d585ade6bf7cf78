-- Purpose: let one process at a time fold; true when it is us, until the transaction ends.
-- Locks: a transaction-level advisory lock, tried.
SELECT pg_try_advisory_xact_lock(hashtext('tidemill.fold'))
