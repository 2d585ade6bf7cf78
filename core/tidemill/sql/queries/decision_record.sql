-- Purpose: keep a changed scaling decision.
-- Parameters: $1 target, $2 queue, $3 replicas before, $4 desired, $5 reason, $6 inputs, $7 clamps.
-- Locks: none.
INSERT INTO tidemill.scaling_decisions (target, queue, replicas, desired, reason, inputs, clamps)
VALUES ($1::text, $2::text, $3::integer, $4::integer, $5::text, $6::json, $7::text[])
