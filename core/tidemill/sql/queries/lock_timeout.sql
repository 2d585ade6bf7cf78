-- Purpose: bound what the rest of this transaction waits for locks.
-- Locks: none.
SET LOCAL lock_timeout = '2s'
