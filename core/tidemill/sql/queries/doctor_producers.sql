-- Purpose: what new sessions of SQL producers are told by the database (or this login): null where nothing
--   is set, and the default of tidemill.enqueue holds.
-- Locks: none.
SELECT current_database()::text AS database,
       nullif(current_setting('tidemill.unknown_types', true), '') AS unknown_types,
       nullif(current_setting('tidemill.create_queues_on_enqueue', true), '') AS create_queues_on_enqueue,
       nullif(current_setting('tidemill.max_payload_bytes', true), '') AS max_payload_bytes
