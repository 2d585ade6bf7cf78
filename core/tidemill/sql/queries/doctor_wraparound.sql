-- Purpose: how many transactions ago the oldest row of this database was not yet frozen.
-- Locks: none.
SELECT age(d.datfrozenxid) AS age FROM pg_database d WHERE d.datname = current_database()
