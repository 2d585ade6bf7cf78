-- Oldest code that may run on the schema after this migration: 1
--
-- What the engine's limits, guards and acts need: queues that are limited say so in the row that
-- every claim reads anyway, tasks of a paused type wait parked, and an enqueue obeys max_depth.

SET LOCAL ROLE tidemill_owner;

ALTER TABLE tidemill.queues ADD COLUMN limited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tidemill.queues.limited IS
    'has a row in queue_limits: written with it, so that the fast claim passes such a queue by';
UPDATE tidemill.queues q SET limited = true
 WHERE EXISTS (SELECT FROM tidemill.queue_limits l WHERE l.queue_id = q.id);

-- Counts what runs in a queue with limits. An index for all leases would add 9 % to what every task
-- writes to the log; this one has entries for limited queues only.
ALTER TABLE tidemill.leases ADD COLUMN limited_queue integer;
COMMENT ON COLUMN tidemill.leases.limited_queue IS 'the queue, if it has limits: null keeps the row out of the index';
CREATE INDEX leases_limited ON tidemill.leases (limited_queue) WHERE limited_queue IS NOT NULL;

ALTER TABLE tidemill.scheduled ADD COLUMN parked text;
COMMENT ON COLUMN tidemill.scheduled.parked IS 'the paused task type that it waits for';
CREATE INDEX scheduled_parked ON tidemill.scheduled (parked) WHERE parked IS NOT NULL;

CREATE INDEX dead_letters_failed ON tidemill.dead_letters (failed_at, task_id);

-- Only the few types that are paused: a claim asks for them each time.
CREATE INDEX task_types_paused ON tidemill.task_types (name) WHERE paused;

CREATE FUNCTION tidemill.queue_depth(queue integer) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN (SELECT coalesce(sum(p.waiting), 0) FROM (
        SELECT t.d_queued + t.d_scheduled AS waiting FROM tidemill.throughput t
         WHERE t.resolution = 'all' AND t.bucket = 'epoch' AND t.queue_id = queue
        UNION ALL
        SELECT d.d_queued + d.d_scheduled FROM tidemill.throughput_deltas d WHERE d.queue_id = queue) AS p);
COMMENT ON FUNCTION tidemill.queue_depth IS 'tasks that wait in a queue, due or not: exact, and never counts them';

CREATE FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    RETURN (SELECT min(g.place) - 1 FROM unnest(types, queues) WITH ORDINALITY AS g (type, queue, place)
             WHERE g.type = kind AND coalesce(g.queue, '') = given);
COMMENT ON FUNCTION tidemill.place_of IS 'the first task of a batch with this type and given queue, from 0';

-- A parameter more: the call of older code still fits.
DROP FUNCTION tidemill.enqueue_rows;

-- The one way in: HTTP, Python and SQL producers all come through here. Arrays are columns; a null
-- array means "not given for any task". Places in messages count from 0.
-- Errors: TM400 invalid, TM404 unknown type where types are enforced, TM409 key of another task,
-- TM429 the queue is full.
-- Waits (2 s at most) only for who takes the same key or creates the same queue, and has not committed.
CREATE FUNCTION tidemill.enqueue_rows(
    types text[], payloads json[], queues text[], names text[], priorities smallint[],
    run_ats timestamptz[], delays double precision[], retry_limits integer[], timeouts double precision[],
    policies json[], keys text[], ttls double precision[], expires timestamptz[], headers json[],
    unknown_types text DEFAULT 'accept', create_queues boolean DEFAULT true
) RETURNS TABLE (
    id uuid, status text, created boolean, queue text, priority smallint, max_retries integer,
    timeout_seconds double precision, retry json, created_at timestamptz, run_at timestamptz
)
    LANGUAGE plpgsql SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
    base     bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    salt     bigint := tidemill.uuid_salt();
    fault    record;
    odd      record;
    kinds    text[]; -- each combination of type and queue that was given, and the queue it comes to
    givens   text[];
    chosen   text[];
    all_ids  uuid[];
    is_new   boolean[];
    answered bigint;
BEGIN
    -- Once for all that follows: a type's default queue may change while we work. And once a
    -- combination: a batch has few, and looking names up for each task costs more than storing it.
    SELECT array_agg(d.type), array_agg(d.given), array_agg(coalesce(nullif(d.given, ''), k.queue, 'default'))
      INTO kinds, givens, chosen
      FROM (SELECT DISTINCT g.type, coalesce(g.queue, '') FROM unnest(types, queues) AS g (type, queue)) AS d (type, given)
      LEFT JOIN tidemill.task_types k ON k.name = d.type;

    -- Whoever deletes a queue holds this alone, so that no task is put into a queue that is going.
    PERFORM pg_advisory_xact_lock_shared(hashtext('tidemill.queue'), hashtext(wanted.name))
       FROM (SELECT DISTINCT u.name FROM unnest(chosen) AS u (name) ORDER BY u.name) AS wanted;

    -- What is out of the ordinary is looked into below; most batches have nothing of it.
    SELECT coalesce(bool_or(q.id IS NULL), false) AS new_queue,
           coalesce(bool_or(q.max_depth IS NOT NULL), false) AS bounded,
           coalesce(bool_or(k.name IS NULL AND coalesce(q.unknown_types, enqueue_rows.unknown_types) = 'reject'), false) AS unknown
      INTO odd
      FROM unnest(kinds, givens, chosen) AS d (type, given, queue)
      LEFT JOIN tidemill.task_types k ON k.name = d.type
      LEFT JOIN tidemill.queues q ON q.name = d.queue;

    IF odd.new_queue AND NOT create_queues THEN
        SELECT d.queue, tidemill.place_of(types, queues, d.type, d.given) AS place INTO fault
          FROM unnest(kinds, givens, chosen) AS d (type, given, queue)
         WHERE NOT EXISTS (SELECT FROM tidemill.queues q WHERE q.name = d.queue)
         ORDER BY place LIMIT 1;
        RAISE EXCEPTION 'tasks[%].queue: must be a queue that exists, for queues are not created here (got %)',
                        fault.place, quote_literal(fault.queue) USING ERRCODE = 'TM400';
    END IF;

    IF odd.unknown THEN
        SELECT d.type, tidemill.place_of(types, queues, d.type, d.given) AS place INTO fault
          FROM unnest(kinds, givens, chosen) AS d (type, given, queue)
          LEFT JOIN tidemill.queues q ON q.name = d.queue
         WHERE coalesce(q.unknown_types, enqueue_rows.unknown_types) = 'reject'
           AND NOT EXISTS (SELECT FROM tidemill.task_types k WHERE k.name = d.type)
         ORDER BY place LIMIT 1;
        RAISE EXCEPTION 'tasks[%].type: % is not a registered task type', fault.place, quote_literal(fault.type)
              USING ERRCODE = 'TM404';
    END IF;

    IF odd.new_queue THEN
        INSERT INTO tidemill.queues (name)
        SELECT DISTINCT wanted.name FROM unnest(chosen) AS wanted (name)
         WHERE NOT EXISTS (SELECT FROM tidemill.queues q WHERE q.name = wanted.name)
         ORDER BY wanted.name
        ON CONFLICT DO NOTHING;
    END IF;

    IF keys IS NOT NULL THEN
        SELECT array_agg(coalesce(taken.task_id, g.id) ORDER BY g.place),
               array_agg(coalesce(taken.created, true) ORDER BY g.place)
          INTO all_ids, is_new
          FROM (SELECT g.place, tidemill.uuid_at(base + g.place, salt) AS id
                  FROM unnest(types) WITH ORDINALITY AS g (type, place)) AS g
          LEFT JOIN (
            SELECT t.* FROM (
                SELECT array_agg((g.place - 1)::integer ORDER BY g.place) AS places,
                       array_agg(q.id ORDER BY g.place) AS queue_ids,
                       array_agg(g.key ORDER BY g.place) AS keys,
                       array_agg(tidemill.uuid_at(base + g.place, salt) ORDER BY g.place) AS ids,
                       array_agg(sha256(convert_to(g.type || chr(10) || g.payload::jsonb::text, 'UTF8')) ORDER BY g.place) AS prints,
                       array_agg(coalesce(g.ttl, 86400) ORDER BY g.place) AS ttls
                  FROM unnest(types, queues, keys, payloads, ttls) WITH ORDINALITY
                    AS g (type, queue, key, payload, ttl, place)
                  JOIN unnest(kinds, givens, chosen) AS d (type, given, queue)
                    ON d.type = g.type AND d.given = coalesce(g.queue, '')
                  JOIN tidemill.queues q ON q.name = d.queue
                 WHERE g.key IS NOT NULL
              ) AS a CROSS JOIN LATERAL tidemill.take_keys(a.places, a.queue_ids, a.keys, a.ids, a.prints, a.ttls) AS t
          ) AS taken ON taken.place = g.place - 1;
    END IF;

    -- Soft: tasks that others are committing right now are not counted yet.
    IF odd.bounded THEN
        SELECT q.name, q.max_depth, depth.tasks, coming.place INTO fault
          FROM (SELECT d.queue, count(*) AS tasks, min(g.place) - 1 AS place
                  FROM unnest(types, queues) WITH ORDINALITY AS g (type, queue, place)
                  JOIN unnest(kinds, givens, chosen) AS d (type, given, queue)
                    ON d.type = g.type AND d.given = coalesce(g.queue, '')
                 WHERE coalesce(is_new[g.place], true) GROUP BY d.queue) AS coming
          JOIN tidemill.queues q ON q.name = coming.queue AND q.max_depth IS NOT NULL
         CROSS JOIN LATERAL (SELECT tidemill.queue_depth(q.id) AS tasks) AS depth
         WHERE depth.tasks + coming.tasks > q.max_depth
         ORDER BY q.name LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'tasks[%].queue: % is full: % tasks wait in it, and it takes at most %',
                            fault.place, quote_literal(fault.name), fault.tasks, fault.max_depth
                  USING ERRCODE = 'TM429';
        END IF;
    END IF;

    RETURN QUERY
    WITH kind AS MATERIALIZED (
        SELECT d.type, d.given, q.id AS queue_id, q.name AS queue,
               coalesce(k.priority, q.priority, 0::smallint) AS priority,
               coalesce(k.max_retries, q.max_retries, 3) AS max_retries,
               coalesce(k.timeout_seconds, q.timeout_seconds, 300) AS timeout_seconds,
               coalesce(k.retry, q.retry) AS retry
          FROM unnest(kinds, givens, chosen) AS d (type, given, queue)
          LEFT JOIN tidemill.task_types k ON k.name = d.type
          JOIN tidemill.queues q ON q.name = d.queue
    ), given AS MATERIALIZED (
        SELECT g.place, coalesce(all_ids[g.place], tidemill.uuid_at(base + g.place, salt)) AS id,
               coalesce(is_new[g.place], true) AS fresh,
               k.queue_id, k.queue, g.type, g.name,
               coalesce(g.priority, k.priority) AS priority,
               coalesce(g.max_retries, k.max_retries) AS max_retries,
               coalesce(g.timeout, k.timeout_seconds) AS timeout_seconds,
               coalesce(g.retry, k.retry) AS retry,
               coalesce(g.run_at, statement_timestamp() + make_interval(secs => g.delay)) AS run_at,
               coalesce(g.payload, '{}') AS payload, g.key, g.expires_at, g.headers
          FROM unnest(types, payloads, queues, names, priorities, run_ats, delays, retry_limits,
                      timeouts, policies, keys, expires, headers) WITH ORDINALITY
            AS g (type, payload, queue, name, priority, run_at, delay, max_retries,
                  timeout, retry, key, expires_at, headers, place)
          JOIN kind k ON k.type = g.type AND k.given = coalesce(g.queue, '')
         ORDER BY g.place
    ), placed AS NOT MATERIALIZED (
        SELECT given.*, coalesce(given.run_at > statement_timestamp(), false) AS later FROM given
    ), bodies AS (
        INSERT INTO tidemill.tasks (id, queue_id, type, name, priority, max_retries, timeout_seconds,
                                    created_at, run_at, expires_at, idempotency_key, payload, retry, headers)
        SELECT p.id, p.queue_id, p.type, p.name, p.priority, p.max_retries, p.timeout_seconds,
               statement_timestamp(), CASE WHEN p.later THEN p.run_at END, p.expires_at, p.key, p.payload, p.retry, p.headers
          FROM placed p WHERE p.fresh
    ), queued AS (
        INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
        SELECT p.id, p.queue_id, p.priority, 1, statement_timestamp()
          FROM placed p WHERE p.fresh AND NOT p.later
    ), delayed AS (
        INSERT INTO tidemill.scheduled (run_at, task_id, queue_id, priority)
        SELECT p.run_at, p.id, p.queue_id, p.priority FROM placed p WHERE p.fresh AND p.later
    ), noted AS (
        INSERT INTO tidemill.throughput_deltas (queue_id, enqueued, d_queued, d_scheduled)
        SELECT p.queue_id, count(*), count(*) FILTER (WHERE NOT p.later), count(*) FILTER (WHERE p.later)
          FROM placed p WHERE p.fresh GROUP BY p.queue_id
    )
    SELECT p.id,
           CASE WHEN NOT p.fresh THEN NULL WHEN p.later THEN 'scheduled' ELSE 'queued' END,
           p.fresh, p.queue, p.priority, p.max_retries, p.timeout_seconds, p.retry,
           statement_timestamp(), CASE WHEN p.later THEN p.run_at ELSE statement_timestamp() END
      FROM placed p ORDER BY p.place;
    GET DIAGNOSTICS answered = ROW_COUNT;
    IF answered <> coalesce(cardinality(types), 0) THEN
        RAISE EXCEPTION 'a queue of this batch was deleted meanwhile: nothing was enqueued, try again'
              USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
COMMENT ON FUNCTION tidemill.enqueue_rows IS
    'inserts a batch given as arrays, all or nothing; status is null for a task that an idempotency key found';

CREATE OR REPLACE FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean DEFAULT true)
RETURNS TABLE (id uuid, status text, created boolean, queue text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    fault record;
    c     record;
    made  record;
    -- What a deployment sets for its SQL producers: ALTER DATABASE ... SET tidemill.… = …
    most_bytes    integer := coalesce(nullif(current_setting('tidemill.max_payload_bytes', true), '')::integer, 1048576);
    unknown_types text := coalesce(nullif(current_setting('tidemill.unknown_types', true), ''), 'accept');
    create_queues boolean := coalesce(nullif(current_setting('tidemill.create_queues_on_enqueue', true), '')::boolean, true);
BEGIN
    IF tasks IS NULL OR jsonb_typeof(tasks) <> 'array' THEN
        RAISE EXCEPTION 'tasks: must be a JSON array of objects (got %)', coalesce(jsonb_typeof(tasks), 'null')
              USING ERRCODE = 'TM400';
    END IF;
    SELECT f.* INTO fault FROM (
        SELECT t.place - 1 AS place, '' AS field, 'must be an object' AS rule, t.task AS value
          FROM jsonb_array_elements(tasks) WITH ORDINALITY AS t (task, place)
         WHERE jsonb_typeof(t.task) <> 'object'
        UNION ALL
        SELECT t.place - 1, '.type', 'must be given', NULL
          FROM jsonb_array_elements(tasks) WITH ORDINALITY AS t (task, place)
         WHERE jsonb_typeof(t.task) = 'object' AND NOT t.task ? 'type'
        UNION ALL
        SELECT t.place - 1, '.run_at', 'must not be given together with delay_seconds', t.task -> 'run_at'
          FROM jsonb_array_elements(tasks) WITH ORDINALITY AS t (task, place)
         WHERE t.task ->> 'run_at' IS NOT NULL AND t.task ->> 'delay_seconds' IS NOT NULL
        UNION ALL
        SELECT t.place - 1, '.' || f.key, r.rule, f.value
          FROM jsonb_array_elements(tasks) WITH ORDINALITY AS t (task, place)
         CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(t.task) WHEN 'object' THEN t.task ELSE '{}' END) AS f (key, value)
         CROSS JOIN LATERAL (SELECT jsonb_typeof(f.value) AS kind, f.value #>> '{}' AS plain) AS v
         CROSS JOIN LATERAL (SELECT CASE f.key
             WHEN 'type' THEN CASE WHEN v.kind <> 'string' OR v.plain !~ '^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}$'
                  THEN 'must be a name of at most 200 letters, digits and _.:/-' END
             WHEN 'queue' THEN CASE WHEN v.kind <> 'string' OR v.plain !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$'
                  THEN 'must be a name of at most 63 letters, digits and _.-' END
             WHEN 'name' THEN CASE WHEN v.kind <> 'string' OR length(v.plain) NOT BETWEEN 1 AND 200
                  THEN 'must be 1 to 200 characters' END
             WHEN 'idempotency_key' THEN CASE WHEN v.kind <> 'string' OR length(v.plain) NOT BETWEEN 1 AND 255
                  THEN 'must be 1 to 255 characters' END
             WHEN 'delay_seconds' THEN CASE WHEN CASE v.kind WHEN 'number' THEN f.value::numeric NOT BETWEEN 0 AND 315360000 ELSE true END
                  THEN 'must be 0 to 315360000' END
             WHEN 'max_retries' THEN CASE WHEN CASE v.kind WHEN 'number' THEN f.value::numeric NOT BETWEEN 0 AND 1000 OR f.value::numeric % 1 <> 0 ELSE true END
                  THEN 'must be a whole number from 0 to 1000' END
             WHEN 'timeout_seconds' THEN CASE WHEN CASE v.kind WHEN 'number' THEN f.value::numeric NOT BETWEEN 0.001 AND 604800 ELSE true END
                  THEN 'must be 0.001 to 604800' END
             WHEN 'idempotency_ttl_seconds' THEN CASE WHEN CASE v.kind WHEN 'number' THEN f.value::numeric NOT BETWEEN 1 AND 31536000 ELSE true END
                  THEN 'must be 1 to 31536000' END
             WHEN 'headers' THEN CASE WHEN CASE v.kind WHEN 'object'
                  THEN EXISTS (SELECT FROM jsonb_each(f.value) AS h (key, value) WHERE jsonb_typeof(h.value) <> 'string') ELSE true END
                  THEN 'must be an object of strings' END
             WHEN 'payload' THEN CASE
                  WHEN octet_length(f.value::text) <= least(most_bytes, 4300) THEN NULL
                  WHEN octet_length(f.value::text) > most_bytes THEN format('must be at most %s bytes as JSON', most_bytes)
                  -- no reader of JSON in Python takes longer ones
                  WHEN jsonb_path_exists(f.value, '$.** ? (@.type() == "number" && (@ >= 1e4300 || @ <= -1e4300))')
                  THEN 'must have no number of more than 4300 digits' END
             WHEN 'priority' THEN NULL -- these four are checked where they are read
             WHEN 'run_at' THEN NULL
             WHEN 'expires_at' THEN NULL
             WHEN 'retry' THEN NULL
             ELSE 'is not a field of a task' END AS rule) AS r
         WHERE r.rule IS NOT NULL AND (v.kind <> 'null' OR f.key = 'type' OR r.rule = 'is not a field of a task')
    ) AS f ORDER BY f.place LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tasks[%]%: % (got %)', fault.place, fault.field, fault.rule, coalesce(left(fault.value::text, 80), 'null')
              USING ERRCODE = 'TM400';
    END IF;

    SELECT array_agg(t.task ->> 'type' ORDER BY t.place) AS types,
           array_agg(coalesce(t.task -> 'payload', '{}')::json ORDER BY t.place) AS payloads,
           array_agg(t.task ->> 'queue' ORDER BY t.place) AS queues,
           array_agg(t.task ->> 'name' ORDER BY t.place) AS names,
           array_agg(CASE WHEN t.task ? 'priority' THEN tidemill.priority_of(t.task -> 'priority', t.place - 1) END ORDER BY t.place) AS priorities,
           array_agg(CASE WHEN t.task ? 'run_at' THEN tidemill.moment_of(t.task -> 'run_at', 'run_at', t.place - 1) END ORDER BY t.place) AS run_ats,
           array_agg((t.task ->> 'delay_seconds')::double precision ORDER BY t.place) AS delays,
           array_agg((t.task ->> 'max_retries')::numeric::integer ORDER BY t.place) AS max_retries,
           array_agg((t.task ->> 'timeout_seconds')::double precision ORDER BY t.place) AS timeouts,
           array_agg(CASE WHEN t.task ? 'retry' THEN tidemill.policy_of(t.task -> 'retry', t.place - 1) END ORDER BY t.place) AS retries,
           CASE WHEN count(t.task ->> 'idempotency_key') > 0
                THEN array_agg(t.task ->> 'idempotency_key' ORDER BY t.place) END AS keys,
           array_agg((t.task ->> 'idempotency_ttl_seconds')::double precision ORDER BY t.place) AS ttls,
           array_agg(CASE WHEN t.task ? 'expires_at' THEN tidemill.moment_of(t.task -> 'expires_at', 'expires_at', t.place - 1) END ORDER BY t.place) AS expires,
           array_agg(nullif(t.task -> 'headers', 'null')::json ORDER BY t.place) AS headers
      INTO c
      FROM jsonb_array_elements(tasks) WITH ORDINALITY AS t (task, place);

    SELECT array_agg(r.id ORDER BY r.place) AS ids, array_agg(r.status ORDER BY r.place) AS states,
           array_agg(r.created ORDER BY r.place) AS news, array_agg(r.queue ORDER BY r.place) AS queues
      INTO made
      FROM tidemill.enqueue_rows(c.types, c.payloads, c.queues, c.names, c.priorities, c.run_ats, c.delays,
           c.max_retries, c.timeouts, c.retries, c.keys, c.ttls, c.expires, c.headers,
           unknown_types, create_queues) WITH ORDINALITY
        AS r (id, status, created, queue, priority, max_retries, timeout_seconds, retry, created_at, run_at, place);

    IF notify THEN
        PERFORM pg_notify('tidemill', woken.queue)
           FROM (SELECT DISTINCT m.queue FROM unnest(made.queues, made.states) AS m (queue, status)
                  WHERE m.status = 'queued') AS woken;
    END IF;

    -- A statement of its own sees the tasks of this very batch, which its keys may have found, too.
    RETURN QUERY
    SELECT m.id, CASE WHEN m.created THEN m.status
                      ELSE (SELECT v.status FROM tidemill.task_status v WHERE v.id = m.id) END, m.created, m.queue
      FROM unnest(made.ids, made.states, made.news, made.queues) WITH ORDINALITY AS m (id, status, created, queue, place)
     ORDER BY m.place;
END
$$;

-- Planning these functions' statements anew for each call was half of what a single enqueue cost the
-- server: 2.0 ms, now 0.95; with a key 3.6, now 1.2. A plan that is kept must not be one for the
-- empty tables of its day: no table is read whole here.
ALTER FUNCTION tidemill.enqueue_many SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION tidemill.enqueue_many SET enable_seqscan = off;
ALTER FUNCTION tidemill.take_keys SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION tidemill.take_keys SET enable_seqscan = off;
ALTER FUNCTION tidemill.enqueue_rows SET plan_cache_mode = force_generic_plan;

REVOKE ALL ON FUNCTION tidemill.queue_depth, tidemill.place_of, tidemill.enqueue_rows FROM PUBLIC;
GRANT UPDATE (limited_queue) ON tidemill.leases TO tidemill_operator;
GRANT EXECUTE ON FUNCTION tidemill.queue_depth, tidemill.place_of, tidemill.enqueue_rows TO tidemill_app;

RESET ROLE;
