-- Oldest code that may run on the schema after this migration: 1
--
-- The operator: scaling decisions by queue, and terms.

SET LOCAL ROLE tidemill_owner;

-- Scaling decisions are looked up by queue too: a queue that no TaskQueue names is served by those
-- for '*', whoever made them.
CREATE INDEX scaling_decisions_queue ON tidemill.scaling_decisions (queue, decided_at DESC, id DESC);

-- Each operator that begins to act draws a term here. A Lease can be deleted and begin anew: terms do not.
CREATE TABLE tidemill.operator_terms (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    term bigint NOT NULL
);
COMMENT ON TABLE tidemill.operator_terms IS 'one row: the highest term that an operator has drawn';
INSERT INTO tidemill.operator_terms (term) VALUES (0);
GRANT SELECT ON tidemill.operator_terms TO tidemill_app, tidemill_operator;
GRANT UPDATE (term) ON tidemill.operator_terms TO tidemill_operator;

RESET ROLE;
