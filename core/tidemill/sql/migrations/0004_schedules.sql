-- Oldest code that may run on the schema after this migration: 1
--
-- What a schedule says of its tasks beyond 0001, who declared it, when it ends, and what went wrong
-- when it last came. And what finds the slots that are old enough to be forgotten.

SET LOCAL ROLE tidemill_owner;

ALTER TABLE tidemill.schedules
    ADD COLUMN max_retries     integer CHECK (max_retries >= 0),
    ADD COLUMN timeout_seconds double precision CHECK (timeout_seconds > 0),
    ADD COLUMN retry           json,
    ADD COLUMN headers         json,
    ADD COLUMN ends_at         timestamptz,
    ADD COLUMN app             text,
    ADD COLUMN last_error      text,
    ADD COLUMN last_error_at   timestamptz;

COMMENT ON TABLE tidemill.schedules IS 'cron schedules; who fires one holds its row''s lock';
COMMENT ON COLUMN tidemill.schedules.missed IS
    'what becomes of slots that nobody was there for: once = the latest fires, skip = none does';
COMMENT ON COLUMN tidemill.schedules.next_slot IS 'when it fires next; null when it never will again';
COMMENT ON COLUMN tidemill.schedules.last_slot IS 'the latest slot that fired';
COMMENT ON COLUMN tidemill.schedules.ends_at IS 'no slot is later than this';
COMMENT ON COLUMN tidemill.schedules.app IS 'the app whose code declares it; null for one made by hand';
COMMENT ON COLUMN tidemill.schedules.last_error IS
    'why the latest slot that came fired no task; null since one has fired';

CREATE INDEX schedule_slots_fired ON tidemill.schedule_slots (fired_at);

RESET ROLE;
