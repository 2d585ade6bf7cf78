-- Oldest code that may run on the schema after this migration: 1
--
-- How far a running task has come, as its handler says. Not in the view task_status: code of before
-- reads that with all its columns, and would not know this one.

SET LOCAL ROLE tidemill_owner;

ALTER TABLE tidemill.leases ADD COLUMN progress json;

COMMENT ON COLUMN tidemill.leases.progress IS
    'what the handler last said of how far it has come: done, total, message';

RESET ROLE;
