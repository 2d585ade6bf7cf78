-- Purpose: let what follows in this transaction take its time: it reads a day of tasks, or a sample of all.
-- Locks: none.
SET LOCAL statement_timeout = 0
