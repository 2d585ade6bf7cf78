-- Oldest code that may run on the schema after this migration: 1
--
-- Scaling decisions are looked up by queue too: a queue that no TaskQueue names is served by those
-- for '*', whoever made them.
CREATE INDEX scaling_decisions_queue ON tidemill.scaling_decisions (queue, decided_at DESC, id DESC);
