-- Purpose: pause or resume a queue. Its owner's pause is another matter: it runs when neither side pauses it.
-- Parameters: $1 name; $2 whether to pause.
-- Returns the queue's id.
-- Locks: the queue's row. A claim reads it without a lock: one that began before may still commit.
UPDATE tidemill.queues SET paused = $2::boolean, updated_at = statement_timestamp()
 WHERE name = $1::text RETURNING id
