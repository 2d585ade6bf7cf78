-- What the migrations make, for reading and comparing: Postgres 18, daily partitions left out.
-- Never applied. Written by `make schema`.

CREATE SCHEMA tidemill;

ALTER SCHEMA tidemill OWNER TO tidemill_owner;

COMMENT ON SCHEMA tidemill IS 'Tidemill task queue';

CREATE FUNCTION tidemill.add_arrays(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (a IS NULL) THEN b WHEN (b IS NULL) THEN a ELSE ARRAY(SELECT (COALESCE(pair.x, (0)::bigint) + COALESCE(pair.y, (0)::bigint)) FROM UNNEST(add_arrays.a, add_arrays.b) WITH ORDINALITY pair(x, y, place) ORDER BY pair.place) END;

ALTER FUNCTION tidemill.add_arrays(a bigint[], b bigint[]) OWNER TO tidemill_owner;

CREATE FUNCTION tidemill.analyze_parents() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    SET default_statistics_target TO '10'
    AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) tidemill.tasks, tidemill.attempts;
END
$$;

ALTER FUNCTION tidemill.analyze_parents() OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.analyze_parents() IS 'analyses tasks and attempts with all their days';

CREATE FUNCTION tidemill.any_alive(low uuid, beyond uuid) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    SELECT EXISTS (SELECT FROM tidemill.dead_letters d WHERE d.task_id >= low AND d.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.scheduled s WHERE s.task_id >= low AND s.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.ready r WHERE r.task_id >= low AND r.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.leases l WHERE l.task_id >= low AND l.task_id < beyond)
$$;

ALTER FUNCTION tidemill.any_alive(low uuid, beyond uuid) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.any_alive(low uuid, beyond uuid) IS 'whether any task of these ids waits, runs or is a dead letter';

CREATE FUNCTION tidemill.drop_attempts_day(day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    SET enable_seqscan TO 'on'
    SET enable_bitmapscan TO 'on'
    SET jit TO 'off'
    AS $_$
DECLARE
    part   text := format('tidemill.%I', 'attempts_' || to_char(day, 'YYYYMMDD'));
    starts timestamptz := day::timestamp AT TIME ZONE 'UTC';
    beyond timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
    needed boolean;
BEGIN
    IF day >= (statement_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
        RETURN 'early';
    ELSIF NOT pg_try_advisory_xact_lock(hashtext('tidemill.drop_day')) THEN
        RETURN 'busy';
    ELSIF EXISTS (SELECT FROM tidemill.dead_letters d WHERE d.failed_at >= starts AND d.failed_at < beyond) THEN
        RETURN 'held';
    ELSIF to_regclass(part) IS NULL THEN
        RETURN 'missing';
    END IF;
    EXECUTE format($ends$
        SELECT EXISTS (SELECT FROM %s a JOIN tidemill.tasks t ON t.id = a.task_id
                        WHERE a.outcome IN ('succeeded', 'cancelled') AND t.id < $1) $ends$, part)
       INTO needed USING tidemill.uuid_floor(beyond + interval '1 hour');
    IF needed THEN
        RETURN 'kept';
    END IF;
    BEGIN
        LOCK TABLE ONLY tidemill.attempts IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('DROP TABLE %s', part);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN 'busy';
    END;
    RETURN 'dropped';
END
$_$;

ALTER FUNCTION tidemill.drop_attempts_day(day date) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.drop_attempts_day(day date) IS 'drops a day of attempts that no kept task ended on; dropped, or why not: early, missing, held (dead letters), kept (other ends), busy';

CREATE FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    SET enable_seqscan TO 'on'
    SET enable_bitmapscan TO 'on'
    SET jit TO 'off'
    AS $_$
DECLARE
    part   text := format('tidemill.%I', 'tasks_' || to_char(day, 'YYYYMMDD'));
    low    uuid := tidemill.uuid_floor(day::timestamp AT TIME ZONE 'UTC');
    beyond uuid := tidemill.uuid_floor((day + 1)::timestamp AT TIME ZONE 'UTC');
    kept   boolean;
    goes   record;
    found  bigint;
BEGIN
    IF day >= (statement_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
        RETURN 'early'; -- ensure_partitions would make it again
    ELSIF NOT pg_try_advisory_xact_lock(hashtext('tidemill.drop_day')) THEN
        RETURN 'busy';
    ELSIF tidemill.any_alive(low, beyond) THEN
        RETURN 'held';
    ELSIF to_regclass(part) IS NULL THEN
        RETURN 'missing';
    END IF;

    -- A look at its first tasks spares most days that are not due the long look at all.
    EXECUTE format($first$
        SELECT EXISTS (
            SELECT FROM (SELECT t.id, t.queue_id FROM %s t ORDER BY t.id LIMIT 100) AS f
              LEFT JOIN tidemill.queues q ON q.id = f.queue_id
              LEFT JOIN LATERAL (SELECT a.outcome, a.finished_at FROM tidemill.attempts a
                                  WHERE a.task_id = f.id AND a.outcome IN ('succeeded', 'cancelled') LIMIT 1) AS e ON true
             WHERE NOT tidemill.is_due(e.outcome, e.finished_at, coalesce(q.succeeded_seconds, $1), coalesce(q.cancelled_seconds, $2))
        ) $first$, part) INTO kept USING keep_succeeded, keep_cancelled;
    IF kept THEN
        RETURN 'held';
    END IF;

    EXECUTE format($count$
        SELECT coalesce(sum(c.bodies), 0) AS bodies, coalesce(bool_and(c.due), true) AS due,
               array_agg(c.queue_id) AS queues, array_agg(c.bodies) AS counts,
               array_agg(c.succeeded) AS succeeded, array_agg(c.cancelled) AS cancelled
          FROM (SELECT t.queue_id, count(*) AS bodies,
                       count(*) FILTER (WHERE e.outcome = 'succeeded') AS succeeded,
                       count(*) FILTER (WHERE e.outcome = 'cancelled') AS cancelled,
                       bool_and(tidemill.is_due(e.outcome, e.finished_at, coalesce(q.succeeded_seconds, $3),
                                                coalesce(q.cancelled_seconds, $4))) AS due
                  FROM %s t
                  LEFT JOIN tidemill.queues q ON q.id = t.queue_id
                  LEFT JOIN (SELECT a.task_id, a.outcome, a.finished_at FROM tidemill.attempts a
                              WHERE a.task_id >= $1 AND a.task_id < $2
                                AND a.outcome IN ('succeeded', 'cancelled')) AS e ON e.task_id = t.id
                 GROUP BY t.queue_id) AS c $count$, part)
       INTO goes USING low, beyond, keep_succeeded, keep_cancelled;
    IF NOT goes.due THEN
        RETURN 'held';
    END IF;

    BEGIN
        EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', part);
        EXECUTE format('SELECT count(*) FROM %s', part) INTO found;
        IF found <> goes.bodies THEN
            RETURN 'busy'; -- somebody deleted meanwhile: to be counted anew
        END IF;
        INSERT INTO tidemill.throughput_deltas (queue_id, deleted, d_succeeded, d_cancelled)
        SELECT g.queue_id, g.bodies, -g.succeeded, -g.cancelled
          FROM unnest(goes.queues, goes.counts, goes.succeeded, goes.cancelled)
            AS g (queue_id, bodies, succeeded, cancelled);
        LOCK TABLE ONLY tidemill.tasks IN ACCESS EXCLUSIVE MODE;
        IF tidemill.any_alive(low, beyond) THEN
            RAISE EXCEPTION 'a task of % came back to life', day USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE %s', part);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN 'busy'; -- and nothing has changed
    END;
    RETURN 'dropped';
END
$_$;

ALTER FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision) IS 'drops a day of bodies that are all past their keep time; dropped, or why not: early, missing, held, busy (try again)';

CREATE FUNCTION tidemill.enqueue(type text, payload jsonb DEFAULT '{}'::jsonb, queue text DEFAULT NULL::text, name text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, delay_seconds double precision DEFAULT NULL::double precision, max_retries integer DEFAULT NULL::integer, timeout_seconds double precision DEFAULT NULL::double precision, retry jsonb DEFAULT NULL::jsonb, idempotency_key text DEFAULT NULL::text, idempotency_ttl_seconds double precision DEFAULT NULL::double precision, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, headers jsonb DEFAULT NULL::jsonb, notify boolean DEFAULT true) RETURNS uuid
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT m.id FROM tidemill.enqueue_many(jsonb_build_array(jsonb_build_object(
        'type', type, 'queue', queue, 'name', name, 'priority', priority, 'run_at', run_at,
        'delay_seconds', delay_seconds, 'max_retries', max_retries, 'timeout_seconds', timeout_seconds,
        'retry', retry, 'idempotency_key', idempotency_key,
        'idempotency_ttl_seconds', idempotency_ttl_seconds, 'expires_at', expires_at, 'headers', headers,
        'payload', coalesce(payload, '{}'))), notify) AS m
$$;

ALTER FUNCTION tidemill.enqueue(type text, payload jsonb, queue text, name text, priority integer, run_at timestamp with time zone, delay_seconds double precision, max_retries integer, timeout_seconds double precision, retry jsonb, idempotency_key text, idempotency_ttl_seconds double precision, expires_at timestamp with time zone, headers jsonb, notify boolean) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.enqueue(type text, payload jsonb, queue text, name text, priority integer, run_at timestamp with time zone, delay_seconds double precision, max_retries integer, timeout_seconds double precision, retry jsonb, idempotency_key text, idempotency_ttl_seconds double precision, expires_at timestamp with time zone, headers jsonb, notify boolean) IS 'enqueues one task in the caller''s transaction and returns its id';

CREATE FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean DEFAULT true) RETURNS TABLE(id uuid, status text, created boolean, queue text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $_$
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
$_$;

ALTER FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean) IS 'enqueues a JSON array of tasks (the fields of POST /api/tasks) in the caller''s transaction, all or nothing';

CREATE FUNCTION tidemill.enqueue_rows(types text[], payloads json[], queues text[], names text[], priorities smallint[], run_ats timestamp with time zone[], delays double precision[], retry_limits integer[], timeouts double precision[], policies json[], keys text[], ttls double precision[], expires timestamp with time zone[], headers json[], unknown_types text DEFAULT 'accept'::text, create_queues boolean DEFAULT true) RETURNS TABLE(id uuid, status text, created boolean, queue text, priority smallint, max_retries integer, timeout_seconds double precision, retry json, created_at timestamp with time zone, run_at timestamp with time zone)
    LANGUAGE plpgsql
    SET lock_timeout TO '2s'
    SET plan_cache_mode TO 'force_generic_plan'
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
    uniform  boolean := false;
    of_type  record;
    settled  record;
    target   text;
BEGIN
    -- Tasks of one type and queue with nothing set: one look at each name, one insert.
    -- Whatever is out of the ordinary about these goes on below, as everything else does.
    IF cardinality(types) > 0 AND cardinality(payloads) = cardinality(types)
       AND num_nonnulls(names, priorities, run_ats, delays, retry_limits, timeouts, policies, keys, ttls, expires, headers) = 0 THEN
        uniform := types = array_fill(types[1], ARRAY[cardinality(types)])
               AND (queues IS NULL OR queues = array_fill(queues[1], ARRAY[cardinality(types)]));
    END IF;
    IF uniform THEN
        SELECT k.name, k.queue, k.priority, k.max_retries, k.timeout_seconds, k.retry INTO of_type
          FROM tidemill.task_types k WHERE k.name = types[1];
        target := coalesce(nullif(queues[1], ''), of_type.queue, 'default');
        PERFORM pg_advisory_xact_lock_shared(hashtext('tidemill.queue'), hashtext(target));
        SELECT q.id AS queue_id,
               coalesce(of_type.priority, q.priority, 0::smallint) AS priority,
               coalesce(of_type.max_retries, q.max_retries, 3) AS max_retries,
               coalesce(of_type.timeout_seconds, q.timeout_seconds, 300) AS timeout_seconds,
               coalesce(of_type.retry, q.retry) AS retry
          INTO settled
          FROM tidemill.queues q
         WHERE q.name = target AND q.max_depth IS NULL
           AND (of_type.name IS NOT NULL OR coalesce(q.unknown_types, enqueue_rows.unknown_types) <> 'reject');
        IF FOUND THEN
            RETURN QUERY
            WITH given AS MATERIALIZED (
                SELECT g.place, tidemill.uuid_at(base + g.place, salt) AS id, coalesce(g.payload, '{}') AS payload
                  FROM unnest(payloads) WITH ORDINALITY AS g (payload, place)
            ), bodies AS (
                INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload, retry)
                SELECT g.id, settled.queue_id, types[1], settled.priority, settled.max_retries,
                       settled.timeout_seconds, statement_timestamp(), g.payload, settled.retry
                  FROM given g
            ), queued AS (
                INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
                SELECT g.id, settled.queue_id, settled.priority, 1, statement_timestamp() FROM given g
            ), noted AS (
                INSERT INTO tidemill.throughput_deltas (queue_id, enqueued, d_queued, d_scheduled)
                VALUES (settled.queue_id, cardinality(types), cardinality(types), 0)
            )
            SELECT g.id, 'queued', true, target, settled.priority, settled.max_retries, settled.timeout_seconds,
                   settled.retry, statement_timestamp(), statement_timestamp()
              FROM given g ORDER BY g.place;
            RETURN;
        END IF;
    END IF;

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

ALTER FUNCTION tidemill.enqueue_rows(types text[], payloads json[], queues text[], names text[], priorities smallint[], run_ats timestamp with time zone[], delays double precision[], retry_limits integer[], timeouts double precision[], policies json[], keys text[], ttls double precision[], expires timestamp with time zone[], headers json[], unknown_types text, create_queues boolean) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.enqueue_rows(types text[], payloads json[], queues text[], names text[], priorities smallint[], run_ats timestamp with time zone[], delays double precision[], retry_limits integer[], timeouts double precision[], policies json[], keys text[], ttls double precision[], expires timestamp with time zone[], headers json[], unknown_types text, create_queues boolean) IS 'inserts a batch given as arrays, all or nothing; status is null for a task that an idempotency key found';

CREATE FUNCTION tidemill.ensure_partitions(days_ahead integer DEFAULT 7) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
    today   date := (now() AT TIME ZONE 'UTC')::date;
    day     date;
    made    integer := 0;
    part    text;
    starts  timestamptz;
    ends    timestamptz;
BEGIN
    IF days_ahead NOT BETWEEN 1 AND 60 THEN
        RAISE EXCEPTION 'days_ahead: must be 1 to 60 (got %)', days_ahead USING ERRCODE = '22023';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('tidemill.partitions')) THEN
        RETURN 0; -- another process is at it
    END IF;
    -- Yesterday too: a clock that steps back over midnight must not stop the queue.
    FOR day IN SELECT generate_series(today - 1, today + days_ahead, interval '1 day')::date LOOP
        starts := day::timestamp AT TIME ZONE 'UTC';
        ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
        part := format('tasks_%s', to_char(day, 'YYYYMMDD'));
        IF to_regclass(format('tidemill.%I', part)) IS NULL THEN
            EXECUTE format('CREATE TABLE tidemill.%I (LIKE tidemill.tasks INCLUDING DEFAULTS)', part);
            EXECUTE format('ALTER TABLE tidemill.tasks ATTACH PARTITION tidemill.%I FOR VALUES FROM (%L) TO (%L)',
                           part, tidemill.uuid_floor(starts), tidemill.uuid_floor(ends));
            made := made + 1;
        END IF;
        part := format('attempts_%s', to_char(day, 'YYYYMMDD'));
        IF to_regclass(format('tidemill.%I', part)) IS NULL THEN
            EXECUTE format('CREATE TABLE tidemill.%I (LIKE tidemill.attempts INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
            EXECUTE format('ALTER TABLE tidemill.attempts ATTACH PARTITION tidemill.%I FOR VALUES FROM (%L) TO (%L)',
                           part, starts, ends);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

ALTER FUNCTION tidemill.ensure_partitions(days_ahead integer) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.ensure_partitions(days_ahead integer) IS 'creates the missing daily partitions up to so many days ahead; returns how many';

CREATE FUNCTION tidemill.is_due(outcome text, finished_at timestamp with time zone, succeeded double precision, cancelled double precision) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN COALESCE((finished_at <= (statement_timestamp() - make_interval(secs => CASE outcome WHEN 'succeeded'::text THEN succeeded ELSE cancelled END))), false);

ALTER FUNCTION tidemill.is_due(outcome text, finished_at timestamp with time zone, succeeded double precision, cancelled double precision) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.is_due(outcome text, finished_at timestamp with time zone, succeeded double precision, cancelled double precision) IS 'whether a task that ended so is past its keep time; no end: not';

CREATE FUNCTION tidemill.moment_of(given jsonb, field text, place bigint) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    AS $_$
BEGIN
    IF given IS NULL OR jsonb_typeof(given) = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(given) = 'string'
          AND given #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+ ?([Zz]|[+-][0-9:]{2,8})$' THEN
        RETURN (given #>> '{}')::timestamptz;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'invalid_datetime_format';
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'tasks[%].%: must be an ISO 8601 time with its offset, such as 2030-01-31T12:00:00Z (got %)',
          place, field, left(given::text, 80) USING ERRCODE = 'TM400';
END
$_$;

ALTER FUNCTION tidemill.moment_of(given jsonb, field text, place bigint) OWNER TO tidemill_owner;

CREATE FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    RETURN (SELECT (min(g.place) - 1) FROM UNNEST(place_of.types, place_of.queues) WITH ORDINALITY g(type, queue, place) WHERE ((g.type = place_of.kind) AND (COALESCE(g.queue, ''::text) = place_of.given)));

ALTER FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) IS 'the first task of a batch with this type and given queue, from 0';

CREATE FUNCTION tidemill.policy_of(given jsonb, place bigint) RETURNS json
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    fault record;
BEGIN
    IF given IS NULL OR jsonb_typeof(given) = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(given) <> 'object' THEN
        RAISE EXCEPTION 'tasks[%].retry: must be an object (got %)', place, left(given::text, 80) USING ERRCODE = 'TM400';
    END IF;
    SELECT f.key, f.value, r.rule INTO fault
      FROM jsonb_each(given) AS f (key, value)
     CROSS JOIN LATERAL (SELECT CASE f.key
         WHEN 'policy' THEN CASE WHEN f.value NOT IN ('"exponential"', '"fixed"', '"list"')
              THEN 'must be exponential, fixed or list' END
         WHEN 'factor' THEN CASE WHEN CASE jsonb_typeof(f.value) WHEN 'number' THEN f.value::numeric NOT BETWEEN 1 AND 100 ELSE true END
              THEN 'must be 1 to 100' END
         WHEN 'delays_seconds' THEN CASE
              WHEN jsonb_typeof(f.value) <> 'array' THEN 'must be an array of 1 to 100 numbers'
              WHEN jsonb_array_length(f.value) NOT BETWEEN 1 AND 100 THEN 'must be an array of 1 to 100 numbers'
              WHEN EXISTS (SELECT FROM jsonb_array_elements(f.value) AS d (value)
                            WHERE CASE jsonb_typeof(d.value) WHEN 'number' THEN d.value::numeric NOT BETWEEN 0 AND 315360000 ELSE true END)
              THEN 'must be numbers from 0 to 315360000' END
         WHEN 'base_seconds' THEN CASE WHEN CASE jsonb_typeof(f.value) WHEN 'number' THEN NOT (f.value::numeric > 0 AND f.value::numeric <= 315360000) ELSE true END
              THEN 'must be more than 0 and at most 315360000' END
         WHEN 'max_seconds' THEN CASE WHEN CASE jsonb_typeof(f.value) WHEN 'number' THEN NOT (f.value::numeric > 0 AND f.value::numeric <= 315360000) ELSE true END
              THEN 'must be more than 0 and at most 315360000' END
         ELSE 'is not a field of a retry policy' END AS rule) AS r
     WHERE r.rule IS NOT NULL ORDER BY f.key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tasks[%].retry.%: % (got %)', place, fault.key, fault.rule, left(fault.value::text, 80)
              USING ERRCODE = 'TM400';
    ELSIF (given ->> 'policy' IS NOT DISTINCT FROM 'list') <> (given ? 'delays_seconds') THEN
        RAISE EXCEPTION 'tasks[%].retry.delays_seconds: must be given for the policy list, and only for it (got %)',
              place, coalesce(left((given -> 'delays_seconds')::text, 80), 'null') USING ERRCODE = 'TM400';
    END IF;
    RETURN given::json;
END
$$;

ALTER FUNCTION tidemill.policy_of(given jsonb, place bigint) OWNER TO tidemill_owner;

CREATE FUNCTION tidemill.priority_of(given jsonb, place bigint) RETURNS smallint
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF given IS NULL OR jsonb_typeof(given) = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(given) = 'number' AND given::numeric BETWEEN -32768 AND 32767
          AND given::numeric % 1 = 0 THEN
        RETURN given::smallint;
    ELSIF given IN ('"low"', '"default"', '"high"') THEN
        RETURN CASE given #>> '{}' WHEN 'low' THEN -100 WHEN 'high' THEN 100 ELSE 0 END;
    END IF;
    RAISE EXCEPTION 'tasks[%].priority: must be a whole number from -32768 to 32767, or low, default or high (got %)',
          place, left(given::text, 80) USING ERRCODE = 'TM400';
END
$$;

ALTER FUNCTION tidemill.priority_of(given jsonb, place bigint) OWNER TO tidemill_owner;

CREATE TABLE tidemill.throughput (
    resolution text NOT NULL,
    bucket timestamp with time zone NOT NULL,
    queue_id integer NOT NULL,
    enqueued bigint NOT NULL,
    started bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    retries bigint NOT NULL,
    first_retries bigint NOT NULL,
    dead bigint NOT NULL,
    cancelled bigint NOT NULL,
    deleted bigint NOT NULL,
    recovered bigint NOT NULL,
    snoozed bigint NOT NULL,
    released bigint NOT NULL,
    replayed bigint NOT NULL,
    run_seconds double precision NOT NULL,
    waits bigint[],
    d_queued bigint NOT NULL,
    d_scheduled bigint NOT NULL,
    d_running bigint NOT NULL,
    d_succeeded bigint NOT NULL,
    d_failed bigint NOT NULL,
    d_cancelled bigint NOT NULL,
    CONSTRAINT throughput_resolution_check CHECK ((resolution = ANY (ARRAY['10s'::text, 'hour'::text, 'day'::text, 'all'::text])))
)
WITH (fillfactor='50');

ALTER TABLE tidemill.throughput OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.throughput IS 'folded deltas; every delta goes into all four resolutions, and "all" has one row a queue';

CREATE TABLE tidemill.throughput_deltas (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    queue_id integer NOT NULL,
    enqueued integer DEFAULT 0 NOT NULL,
    started integer DEFAULT 0 NOT NULL,
    succeeded integer DEFAULT 0 NOT NULL,
    failed_attempts integer DEFAULT 0 NOT NULL,
    retries integer DEFAULT 0 NOT NULL,
    first_retries integer DEFAULT 0 NOT NULL,
    dead integer DEFAULT 0 NOT NULL,
    cancelled integer DEFAULT 0 NOT NULL,
    deleted integer DEFAULT 0 NOT NULL,
    recovered integer DEFAULT 0 NOT NULL,
    snoozed integer DEFAULT 0 NOT NULL,
    released integer DEFAULT 0 NOT NULL,
    replayed integer DEFAULT 0 NOT NULL,
    run_seconds double precision DEFAULT 0 NOT NULL,
    waits integer[],
    d_queued integer DEFAULT 0 NOT NULL,
    d_scheduled integer DEFAULT 0 NOT NULL,
    d_running integer DEFAULT 0 NOT NULL,
    d_succeeded integer DEFAULT 0 NOT NULL,
    d_failed integer DEFAULT 0 NOT NULL,
    d_cancelled integer DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE tidemill.throughput_deltas OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.throughput_deltas IS 'append-only, one row a batch and queue, written in the transaction of the act; d_ columns are signed changes of status counts';

COMMENT ON COLUMN tidemill.throughput_deltas.waits IS 'counts by bucket of tidemill.wait_bounds()';

CREATE FUNCTION tidemill.queue_depth(queue integer) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN (SELECT COALESCE(sum(p.waiting), (0)::numeric) AS "coalesce" FROM (SELECT (t.d_queued + t.d_scheduled) AS waiting FROM tidemill.throughput t WHERE ((t.resolution = 'all'::text) AND (t.bucket = '1970-01-01 00:00:00+00'::timestamp with time zone) AND (t.queue_id = queue_depth.queue)) UNION ALL SELECT (d.d_queued + d.d_scheduled) FROM tidemill.throughput_deltas d WHERE (d.queue_id = queue_depth.queue)) p);

ALTER FUNCTION tidemill.queue_depth(queue integer) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.queue_depth(queue integer) IS 'tasks that wait in a queue, due or not: exact, and never counts them';

CREATE FUNCTION tidemill.take_keys(places integer[], queue_ids integer[], keys text[], ids uuid[], fingerprints bytea[], ttls double precision[]) RETURNS TABLE(place integer, task_id uuid, created boolean)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    fault record;
BEGIN
    INSERT INTO tidemill.idempotency_keys AS known (queue_id, key, task_id, fingerprint, expires_at)
    SELECT DISTINCT ON (g.queue_id, g.key)
           g.queue_id, g.key, g.id, g.fingerprint,
           statement_timestamp() + make_interval(secs => g.ttl)
      FROM unnest(places, queue_ids, keys, ids, fingerprints, ttls)
        AS g (place, queue_id, key, id, fingerprint, ttl)
     ORDER BY g.queue_id, g.key, g.place
    ON CONFLICT (queue_id, key) DO UPDATE
       SET task_id = EXCLUDED.task_id, fingerprint = EXCLUDED.fingerprint, expires_at = EXCLUDED.expires_at
     WHERE known.expires_at <= statement_timestamp();

    SELECT g.place, g.key, k.task_id INTO fault
      FROM unnest(places, queue_ids, keys, fingerprints) AS g (place, queue_id, key, fingerprint)
      JOIN tidemill.idempotency_keys k ON k.queue_id = g.queue_id AND k.key = g.key
     WHERE k.fingerprint <> g.fingerprint
     ORDER BY g.place LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tasks[%].idempotency_key: % was used for task % with another type or payload',
                        fault.place, quote_literal(fault.key), fault.task_id
              USING ERRCODE = 'TM409';
    END IF;

    RETURN QUERY
    SELECT g.place, k.task_id,
           k.task_id = g.id AND g.place = min(g.place) OVER (PARTITION BY g.queue_id, g.key)
      FROM unnest(places, queue_ids, keys, ids) AS g (place, queue_id, key, id)
      JOIN tidemill.idempotency_keys k ON k.queue_id = g.queue_id AND k.key = g.key;
END
$$;

ALTER FUNCTION tidemill.take_keys(places integer[], queue_ids integer[], keys text[], ids uuid[], fingerprints bytea[], ttls double precision[]) OWNER TO tidemill_owner;

CREATE FUNCTION tidemill.uuid_at(microseconds bigint, salt bigint) RETURNS uuid
    LANGUAGE sql PARALLEL RESTRICTED
    RETURN ((lpad(to_hex(((((microseconds / 1000) << 16) | (28672)::bigint) | (((microseconds % (1000)::bigint) * 4096) / 1000))), 16, '0'::text) || to_hex((salt # ((random() * ('4503599627370496'::bigint)::double precision))::bigint))))::uuid;

ALTER FUNCTION tidemill.uuid_at(microseconds bigint, salt bigint) OWNER TO tidemill_owner;

CREATE FUNCTION tidemill.uuid_floor(moment timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ((lpad(to_hex((floor((EXTRACT(epoch FROM moment) * (1000)::numeric)))::bigint), 12, '0'::text) || '00000000000000000000'::text))::uuid;

ALTER FUNCTION tidemill.uuid_floor(moment timestamp with time zone) OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.uuid_floor(moment timestamp with time zone) IS 'the least id that a task made at or after this moment can have';

CREATE FUNCTION tidemill.uuid_salt() RETURNS bigint
    LANGUAGE sql PARALLEL SAFE
    RETURN ((('x'::text || translate(substr((gen_random_uuid())::text, 20), '-'::text, ''::text)))::bit(64))::bigint;

ALTER FUNCTION tidemill.uuid_salt() OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.uuid_salt() IS 'the last 64 bits of a random UUID: the variant and 62 strong random bits';

CREATE FUNCTION tidemill.wait_bounds() RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,300,1800,7200}'::double precision[];

ALTER FUNCTION tidemill.wait_bounds() OWNER TO tidemill_owner;

COMMENT ON FUNCTION tidemill.wait_bounds() IS 'upper bounds in seconds of the first 16 wait buckets; the 17th is open';

CREATE AGGREGATE tidemill.sum_arrays(bigint[]) (
    SFUNC = tidemill.add_arrays,
    STYPE = bigint[],
    PARALLEL = safe
);

ALTER AGGREGATE tidemill.sum_arrays(bigint[]) OWNER TO tidemill_owner;

CREATE TABLE tidemill.attempts (
    task_id uuid NOT NULL,
    token bigint NOT NULL,
    queue_id integer NOT NULL,
    worker_id bigint,
    attempt integer,
    started_at timestamp with time zone,
    finished_at timestamp with time zone NOT NULL,
    run_at timestamp with time zone,
    outcome text NOT NULL,
    retry_count integer NOT NULL,
    crash_count integer DEFAULT 0 NOT NULL,
    error json,
    result json,
    actor text,
    CONSTRAINT attempts_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'retry'::text, 'failed'::text, 'cancelled'::text, 'snoozed'::text, 'released'::text, 'lease_expired'::text, 'replayed'::text, 'moved'::text, 'reprioritised'::text])))
)
PARTITION BY RANGE (finished_at);

ALTER TABLE tidemill.attempts OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.attempts IS 'append-only: one row for each end of an attempt, and one for each release, snooze, replay, cancel before start and admin act';

COMMENT ON COLUMN tidemill.attempts.run_at IS 'when it runs again, for a retry or snooze';

COMMENT ON COLUMN tidemill.attempts.retry_count IS 'retries charged after this row; crash_count likewise';

CREATE TABLE tidemill.dead_letters (
    task_id uuid NOT NULL,
    queue_id integer NOT NULL,
    type text NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    retry_count integer NOT NULL,
    crash_count integer NOT NULL,
    error_type text
);

ALTER TABLE tidemill.dead_letters OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.dead_letters IS 'tasks that failed for good; replay deletes here and inserts into ready';

CREATE TABLE tidemill.idempotency_keys (
    queue_id integer NOT NULL,
    key text NOT NULL,
    task_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);

ALTER TABLE tidemill.idempotency_keys OWNER TO tidemill_owner;

COMMENT ON COLUMN tidemill.idempotency_keys.fingerprint IS 'sha256 of type and canonical payload';

CREATE SEQUENCE tidemill.lease_tokens
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE tidemill.lease_tokens OWNER TO tidemill_owner;

COMMENT ON SEQUENCE tidemill.lease_tokens IS 'tokens of leases and of admin acts: also the order of a task''s history, whatever the clock does';

CREATE TABLE tidemill.leases (
    task_id uuid NOT NULL,
    lease_token bigint NOT NULL,
    worker_id bigint NOT NULL,
    locked_until timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    cancel_requested_at timestamp with time zone,
    seq bigint NOT NULL,
    queue_id integer NOT NULL,
    priority smallint NOT NULL,
    retry_count integer NOT NULL,
    crash_count integer NOT NULL,
    group_key text,
    limited_queue integer,
    progress json
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='100000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE tidemill.leases OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.leases IS 'one row a running task: who holds it, under which token, until when';

COMMENT ON COLUMN tidemill.leases.limited_queue IS 'the queue, if it has limits: null keeps the row out of the index';

COMMENT ON COLUMN tidemill.leases.progress IS 'what the handler last said of how far it has come: done, total, message';

CREATE TABLE tidemill.migrations (
    number integer NOT NULL,
    name text NOT NULL,
    oldest_code integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE tidemill.migrations OWNER TO tidemill_owner;

COMMENT ON COLUMN tidemill.migrations.oldest_code IS 'lowest schema number that running code may have been written for';

CREATE TABLE tidemill.operator_terms (
    one boolean DEFAULT true NOT NULL,
    term bigint NOT NULL,
    CONSTRAINT operator_terms_one_check CHECK (one)
);

ALTER TABLE tidemill.operator_terms OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.operator_terms IS 'one row: the highest term that an operator has drawn';

CREATE TABLE tidemill.queue_limits (
    queue_id integer NOT NULL,
    rate_tasks double precision,
    rate_seconds double precision,
    tokens double precision DEFAULT 0 NOT NULL,
    refilled_at timestamp with time zone DEFAULT now() NOT NULL,
    max_running integer,
    CONSTRAINT queue_limits_check CHECK (((rate_tasks IS NULL) = (rate_seconds IS NULL))),
    CONSTRAINT queue_limits_max_running_check CHECK ((max_running > 0)),
    CONSTRAINT queue_limits_rate_seconds_check CHECK ((rate_seconds > (0)::double precision)),
    CONSTRAINT queue_limits_rate_tasks_check CHECK ((rate_tasks > (0)::double precision))
)
WITH (fillfactor='50');

ALTER TABLE tidemill.queue_limits OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.queue_limits IS 'token bucket and concurrency limit of a queue; locked before leases are counted';

CREATE TABLE tidemill.queues (
    id integer NOT NULL,
    name text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    owner_paused boolean DEFAULT false NOT NULL,
    priority smallint,
    max_retries integer,
    timeout_seconds double precision,
    retry json,
    lease_seconds double precision,
    max_depth integer,
    unknown_types text,
    starvation_seconds double precision,
    succeeded_seconds double precision,
    failed_seconds double precision,
    cancelled_seconds double precision,
    owner_uid text,
    owner_name text,
    owner_fields text[] DEFAULT '{}'::text[] NOT NULL,
    owner_policy text,
    owner_seen_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    limited boolean DEFAULT false NOT NULL,
    CONSTRAINT queues_cancelled_seconds_check CHECK ((cancelled_seconds >= (0)::double precision)),
    CONSTRAINT queues_failed_seconds_check CHECK ((failed_seconds >= (0)::double precision)),
    CONSTRAINT queues_lease_seconds_check CHECK ((lease_seconds > (0)::double precision)),
    CONSTRAINT queues_max_depth_check CHECK ((max_depth > 0)),
    CONSTRAINT queues_max_retries_check CHECK ((max_retries >= 0)),
    CONSTRAINT queues_name_check CHECK ((name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$'::text)),
    CONSTRAINT queues_owner_policy_check CHECK ((owner_policy = ANY (ARRAY['Retain'::text, 'Purge'::text]))),
    CONSTRAINT queues_starvation_seconds_check CHECK ((starvation_seconds >= (0)::double precision)),
    CONSTRAINT queues_succeeded_seconds_check CHECK ((succeeded_seconds >= (0)::double precision)),
    CONSTRAINT queues_timeout_seconds_check CHECK ((timeout_seconds > (0)::double precision)),
    CONSTRAINT queues_unknown_types_check CHECK ((unknown_types = ANY (ARRAY['accept'::text, 'reject'::text])))
);

ALTER TABLE tidemill.queues OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.queues IS 'one row a queue; a null setting takes the system default';

COMMENT ON COLUMN tidemill.queues.paused IS 'paused by API or command line; a queue runs when neither side pauses it';

COMMENT ON COLUMN tidemill.queues.owner_paused IS 'paused by the TaskQueue that owns it';

COMMENT ON COLUMN tidemill.queues.owner_fields IS 'columns that the owning TaskQueue sets';

COMMENT ON COLUMN tidemill.queues.limited IS 'has a row in queue_limits: written with it, so that the fast claim passes such a queue by';

ALTER TABLE tidemill.queues ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidemill.queues_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE tidemill.task_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE tidemill.task_seq OWNER TO tidemill_owner;

CREATE TABLE tidemill.ready (
    seq bigint DEFAULT nextval('tidemill.task_seq'::regclass) NOT NULL,
    task_id uuid NOT NULL,
    queue_id integer NOT NULL,
    priority smallint NOT NULL,
    lane smallint NOT NULL,
    retry_count integer DEFAULT 0 NOT NULL,
    crash_count integer DEFAULT 0 NOT NULL,
    ready_at timestamp with time zone NOT NULL,
    group_key text,
    CONSTRAINT ready_lane_check CHECK ((lane = ANY (ARRAY[0, 1])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000', autovacuum_vacuum_insert_scale_factor='0', autovacuum_vacuum_insert_threshold='1000000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='100000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE tidemill.ready OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.ready IS 'one narrow row a claimable task; INSERT and DELETE only';

COMMENT ON COLUMN tidemill.ready.lane IS '0 = returned (retry, recovery, release) with the place it had, 1 = fresh';

CREATE TABLE tidemill.retention_marks (
    name text NOT NULL,
    at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    page bigint DEFAULT 0 NOT NULL,
    final boolean DEFAULT false NOT NULL,
    rules text DEFAULT ''::text NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE tidemill.retention_marks OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.retention_marks IS 'how far each pass of retention has come; who works on one holds its row''s lock';

COMMENT ON COLUMN tidemill.retention_marks.page IS 'page of that day''s partition of attempts: rows are appended, so pages are in the order of time';

COMMENT ON COLUMN tidemill.retention_marks.final IS 'the day is over, and this pass sees all of it';

COMMENT ON COLUMN tidemill.retention_marks.rules IS 'fingerprint of the queues'' own keep times: a change starts the pass again';

CREATE TABLE tidemill.scaling_decisions (
    id bigint NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    target text NOT NULL,
    queue text NOT NULL,
    replicas integer NOT NULL,
    desired integer NOT NULL,
    reason text NOT NULL,
    inputs json NOT NULL,
    clamps text[] DEFAULT '{}'::text[] NOT NULL
);

ALTER TABLE tidemill.scaling_decisions OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.scaling_decisions IS 'one row a changed decision, kept 7 days';

ALTER TABLE tidemill.scaling_decisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidemill.scaling_decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tidemill.schedule_slots (
    schedule text NOT NULL,
    slot timestamp with time zone NOT NULL,
    task_id uuid NOT NULL,
    fired_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE tidemill.schedule_slots OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.schedule_slots IS 'written with the slot''s task in one transaction: no slot fires twice';

CREATE TABLE tidemill.scheduled (
    run_at timestamp with time zone NOT NULL,
    task_id uuid NOT NULL,
    seq bigint,
    queue_id integer NOT NULL,
    priority smallint NOT NULL,
    retry_count integer DEFAULT 0 NOT NULL,
    crash_count integer DEFAULT 0 NOT NULL,
    group_key text,
    parked text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='10000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE tidemill.scheduled OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.scheduled IS 'not yet due: delayed tasks and retries; INSERT and DELETE only';

COMMENT ON COLUMN tidemill.scheduled.seq IS 'the place it had, for retries; null for a task that was never ready';

COMMENT ON COLUMN tidemill.scheduled.parked IS 'the paused task type that it waits for';

CREATE TABLE tidemill.schedules (
    name text NOT NULL,
    cron text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    type text NOT NULL,
    payload json DEFAULT '{}'::json NOT NULL,
    queue text,
    priority smallint,
    paused boolean DEFAULT false NOT NULL,
    missed text DEFAULT 'once'::text NOT NULL,
    next_slot timestamp with time zone,
    last_slot timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    max_retries integer,
    timeout_seconds double precision,
    retry json,
    headers json,
    ends_at timestamp with time zone,
    app text,
    last_error text,
    last_error_at timestamp with time zone,
    CONSTRAINT schedules_max_retries_check CHECK ((max_retries >= 0)),
    CONSTRAINT schedules_missed_check CHECK ((missed = ANY (ARRAY['once'::text, 'skip'::text]))),
    CONSTRAINT schedules_timeout_seconds_check CHECK ((timeout_seconds > (0)::double precision))
);

ALTER TABLE tidemill.schedules OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.schedules IS 'cron schedules; who fires one holds its row''s lock';

COMMENT ON COLUMN tidemill.schedules.missed IS 'what becomes of slots that nobody was there for: once = the latest fires, skip = none does';

COMMENT ON COLUMN tidemill.schedules.next_slot IS 'when it fires next; null when it never will again';

COMMENT ON COLUMN tidemill.schedules.last_slot IS 'the latest slot that fired';

COMMENT ON COLUMN tidemill.schedules.ends_at IS 'no slot is later than this';

COMMENT ON COLUMN tidemill.schedules.app IS 'the app whose code declares it; null for one made by hand';

COMMENT ON COLUMN tidemill.schedules.last_error IS 'why the latest slot that came fired no task; null since one has fired';

CREATE TABLE tidemill.tasks (
    id uuid NOT NULL,
    queue_id integer NOT NULL,
    type text NOT NULL,
    name text,
    priority smallint NOT NULL,
    max_retries integer NOT NULL,
    timeout_seconds double precision NOT NULL,
    created_at timestamp with time zone NOT NULL,
    run_at timestamp with time zone,
    expires_at timestamp with time zone,
    idempotency_key text,
    payload json NOT NULL,
    retry json,
    headers json
)
PARTITION BY RANGE (id);

ALTER TABLE tidemill.tasks OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.tasks IS 'the body of a task, written once; id is a UUIDv7, a partition a day: a look-up touches one partition, retention is a drop';

COMMENT ON COLUMN tidemill.tasks.run_at IS 'when it was to run first, for a task that was enqueued for later';

CREATE VIEW tidemill.task_status AS
 SELECT t.id,
    t.name,
    t.type,
    q.name AS queue,
    t.queue_id,
        CASE
            WHEN (l.task_id IS NOT NULL) THEN 'running'::text
            WHEN (r.task_id IS NOT NULL) THEN 'queued'::text
            WHEN (s.task_id IS NOT NULL) THEN 'scheduled'::text
            ELSE COALESCE(a.outcome, 'failed'::text)
        END AS status,
    t.priority,
    t.payload,
    t.headers,
    t.idempotency_key,
    t.retry,
    COALESCE(l.retry_count, r.retry_count, s.retry_count, a.retry_count, 0) AS retry_count,
    COALESCE(l.crash_count, r.crash_count, s.crash_count, a.crash_count, 0) AS crash_count,
    t.max_retries,
    t.timeout_seconds,
    t.created_at,
    t.expires_at,
    COALESCE(s.run_at, t.run_at, t.created_at) AS run_at,
    t.run_at AS first_run_at,
    COALESCE(l.claimed_at, a.started_at) AS started_at,
        CASE
            WHEN (COALESCE(l.task_id, r.task_id, s.task_id) IS NULL) THEN a.finished_at
            ELSE NULL::timestamp with time zone
        END AS completed_at,
    COALESCE(l.worker_id, a.worker_id) AS worker_id,
    l.cancel_requested_at,
    a.error AS last_error,
        CASE
            WHEN (COALESCE(l.task_id, r.task_id, s.task_id) IS NULL) THEN a.result
            ELSE NULL::json
        END AS result
   FROM (((((tidemill.tasks t
     JOIN tidemill.queues q ON ((q.id = t.queue_id)))
     LEFT JOIN tidemill.leases l ON ((l.task_id = t.id)))
     LEFT JOIN tidemill.ready r ON ((r.task_id = t.id)))
     LEFT JOIN tidemill.scheduled s ON ((s.task_id = t.id)))
     LEFT JOIN LATERAL ( SELECT h.outcome,
            h.retry_count,
            h.crash_count,
            h.started_at,
            h.finished_at,
            h.worker_id,
            h.error,
            h.result
           FROM tidemill.attempts h
          WHERE ((h.task_id = t.id) AND (h.finished_at >= (t.created_at - '1 day'::interval)))
          ORDER BY h.token DESC
         LIMIT 1) a ON (true));

ALTER VIEW tidemill.task_status OWNER TO tidemill_owner;

COMMENT ON VIEW tidemill.task_status IS 'one row a task, with its status: where its row is, else what its last attempt says';

CREATE TABLE tidemill.task_types (
    name text NOT NULL,
    schema json,
    description text,
    queue text,
    priority smallint,
    max_retries integer,
    timeout_seconds double precision,
    retry json,
    paused boolean DEFAULT false NOT NULL,
    app text NOT NULL,
    registered_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT task_types_max_retries_check CHECK ((max_retries >= 0)),
    CONSTRAINT task_types_timeout_seconds_check CHECK ((timeout_seconds > (0)::double precision))
);

ALTER TABLE tidemill.task_types OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.task_types IS 'registered task types: the JSON Schema of the payload, and defaults';

ALTER TABLE tidemill.throughput_deltas ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidemill.throughput_deltas_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tidemill.workers (
    id bigint NOT NULL,
    name text NOT NULL,
    slots integer NOT NULL,
    queues text[] NOT NULL,
    version text NOT NULL,
    hostname text NOT NULL,
    pid integer NOT NULL,
    pod_uid text,
    pod_name text,
    container text,
    instance text,
    epoch integer DEFAULT 1 NOT NULL,
    draining boolean DEFAULT false NOT NULL,
    cordoned boolean DEFAULT false NOT NULL,
    mark_term bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    left_at timestamp with time zone
)
WITH (fillfactor='50');

ALTER TABLE tidemill.workers OWNER TO tidemill_owner;

COMMENT ON TABLE tidemill.workers IS 'worker processes; a claim shares its row''s lock, draining and cordoning take it';

COMMENT ON COLUMN tidemill.workers.instance IS 'start time of the container''s first process: tells a restart in the same pod';

COMMENT ON COLUMN tidemill.workers.epoch IS 'raised after an unknown commit result: claims of an older epoch get nothing';

COMMENT ON COLUMN tidemill.workers.mark_term IS 'term of the operator that last set draining or cordoned; older terms are refused';

ALTER TABLE tidemill.workers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tidemill.workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY tidemill.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY tidemill.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (queue_id, key);

ALTER TABLE ONLY tidemill.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY tidemill.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY tidemill.operator_terms
    ADD CONSTRAINT operator_terms_pkey PRIMARY KEY (one);

ALTER TABLE ONLY tidemill.queue_limits
    ADD CONSTRAINT queue_limits_pkey PRIMARY KEY (queue_id);

ALTER TABLE ONLY tidemill.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);

ALTER TABLE ONLY tidemill.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tidemill.ready
    ADD CONSTRAINT ready_task_id UNIQUE (task_id);

ALTER TABLE ONLY tidemill.retention_marks
    ADD CONSTRAINT retention_marks_pkey PRIMARY KEY (name);

ALTER TABLE ONLY tidemill.scaling_decisions
    ADD CONSTRAINT scaling_decisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tidemill.schedule_slots
    ADD CONSTRAINT schedule_slots_pkey PRIMARY KEY (schedule, slot);

ALTER TABLE ONLY tidemill.scheduled
    ADD CONSTRAINT scheduled_task_id UNIQUE (task_id);

ALTER TABLE ONLY tidemill.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);

ALTER TABLE ONLY tidemill.task_types
    ADD CONSTRAINT task_types_pkey PRIMARY KEY (name);

ALTER TABLE ONLY tidemill.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tidemill.throughput_deltas
    ADD CONSTRAINT throughput_deltas_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tidemill.throughput
    ADD CONSTRAINT throughput_pkey PRIMARY KEY (resolution, bucket, queue_id);

ALTER TABLE ONLY tidemill.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX attempts_task ON ONLY tidemill.attempts USING btree (task_id, token);

CREATE INDEX dead_letters_failed ON tidemill.dead_letters USING btree (failed_at, task_id);

CREATE INDEX dead_letters_queue ON tidemill.dead_letters USING btree (queue_id, failed_at);

CREATE INDEX dead_letters_type ON tidemill.dead_letters USING btree (type, error_type, failed_at);

CREATE INDEX idempotency_keys_expiry ON tidemill.idempotency_keys USING btree (expires_at);

CREATE INDEX leases_limited ON tidemill.leases USING btree (limited_queue) WHERE (limited_queue IS NOT NULL);

CREATE INDEX leases_worker ON tidemill.leases USING btree (worker_id, locked_until);

CREATE INDEX ready_order ON tidemill.ready USING btree (queue_id, priority DESC, lane, seq);

CREATE INDEX scaling_decisions_queue ON tidemill.scaling_decisions USING btree (queue, decided_at DESC, id DESC);

CREATE INDEX scaling_decisions_target ON tidemill.scaling_decisions USING btree (target, decided_at DESC);

CREATE INDEX schedule_slots_fired ON tidemill.schedule_slots USING btree (fired_at);

CREATE INDEX scheduled_order ON tidemill.scheduled USING btree (run_at);

CREATE INDEX scheduled_parked ON tidemill.scheduled USING btree (parked) WHERE (parked IS NOT NULL);

CREATE INDEX schedules_next_slot ON tidemill.schedules USING btree (next_slot) WHERE (NOT paused);

CREATE INDEX task_types_paused ON tidemill.task_types USING btree (name) WHERE paused;

CREATE INDEX tasks_expires ON ONLY tidemill.tasks USING btree (expires_at, id) WHERE (expires_at IS NOT NULL);

CREATE INDEX workers_pod ON tidemill.workers USING btree (pod_uid) WHERE (pod_uid IS NOT NULL);

GRANT USAGE ON SCHEMA tidemill TO tidemill_app;
GRANT USAGE ON SCHEMA tidemill TO tidemill_operator;
GRANT USAGE ON SCHEMA tidemill TO tidemill_producer;

REVOKE ALL ON FUNCTION tidemill.add_arrays(a bigint[], b bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.add_arrays(a bigint[], b bigint[]) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.analyze_parents() FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.analyze_parents() TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.any_alive(low uuid, beyond uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.any_alive(low uuid, beyond uuid) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.drop_attempts_day(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.drop_attempts_day(day date) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.enqueue(type text, payload jsonb, queue text, name text, priority integer, run_at timestamp with time zone, delay_seconds double precision, max_retries integer, timeout_seconds double precision, retry jsonb, idempotency_key text, idempotency_ttl_seconds double precision, expires_at timestamp with time zone, headers jsonb, notify boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.enqueue(type text, payload jsonb, queue text, name text, priority integer, run_at timestamp with time zone, delay_seconds double precision, max_retries integer, timeout_seconds double precision, retry jsonb, idempotency_key text, idempotency_ttl_seconds double precision, expires_at timestamp with time zone, headers jsonb, notify boolean) TO tidemill_app;
GRANT ALL ON FUNCTION tidemill.enqueue(type text, payload jsonb, queue text, name text, priority integer, run_at timestamp with time zone, delay_seconds double precision, max_retries integer, timeout_seconds double precision, retry jsonb, idempotency_key text, idempotency_ttl_seconds double precision, expires_at timestamp with time zone, headers jsonb, notify boolean) TO tidemill_producer;

REVOKE ALL ON FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean) TO tidemill_app;
GRANT ALL ON FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean) TO tidemill_producer;

REVOKE ALL ON FUNCTION tidemill.enqueue_rows(types text[], payloads json[], queues text[], names text[], priorities smallint[], run_ats timestamp with time zone[], delays double precision[], retry_limits integer[], timeouts double precision[], policies json[], keys text[], ttls double precision[], expires timestamp with time zone[], headers json[], unknown_types text, create_queues boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.enqueue_rows(types text[], payloads json[], queues text[], names text[], priorities smallint[], run_ats timestamp with time zone[], delays double precision[], retry_limits integer[], timeouts double precision[], policies json[], keys text[], ttls double precision[], expires timestamp with time zone[], headers json[], unknown_types text, create_queues boolean) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.ensure_partitions(days_ahead integer) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.ensure_partitions(days_ahead integer) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.is_due(outcome text, finished_at timestamp with time zone, succeeded double precision, cancelled double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.is_due(outcome text, finished_at timestamp with time zone, succeeded double precision, cancelled double precision) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.moment_of(given jsonb, field text, place bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.moment_of(given jsonb, field text, place bigint) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.place_of(types text[], queues text[], kind text, given text) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.policy_of(given jsonb, place bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.policy_of(given jsonb, place bigint) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.priority_of(given jsonb, place bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.priority_of(given jsonb, place bigint) TO tidemill_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.throughput TO tidemill_app;
GRANT SELECT ON TABLE tidemill.throughput TO tidemill_operator;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.throughput_deltas TO tidemill_app;
GRANT SELECT ON TABLE tidemill.throughput_deltas TO tidemill_operator;

GRANT UPDATE(queue_id) ON TABLE tidemill.throughput_deltas TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.queue_depth(queue integer) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.queue_depth(queue integer) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.take_keys(places integer[], queue_ids integer[], keys text[], ids uuid[], fingerprints bytea[], ttls double precision[]) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.take_keys(places integer[], queue_ids integer[], keys text[], ids uuid[], fingerprints bytea[], ttls double precision[]) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.uuid_at(microseconds bigint, salt bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.uuid_at(microseconds bigint, salt bigint) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.uuid_floor(moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.uuid_floor(moment timestamp with time zone) TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.uuid_salt() FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.uuid_salt() TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.wait_bounds() FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.wait_bounds() TO tidemill_app;

REVOKE ALL ON FUNCTION tidemill.sum_arrays(bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION tidemill.sum_arrays(bigint[]) TO tidemill_app;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.attempts TO tidemill_app;
GRANT SELECT ON TABLE tidemill.attempts TO tidemill_operator;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.dead_letters TO tidemill_app;
GRANT SELECT ON TABLE tidemill.dead_letters TO tidemill_operator;

GRANT UPDATE(failed_at) ON TABLE tidemill.dead_letters TO tidemill_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.idempotency_keys TO tidemill_app;
GRANT SELECT ON TABLE tidemill.idempotency_keys TO tidemill_operator;

GRANT USAGE ON SEQUENCE tidemill.lease_tokens TO tidemill_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.leases TO tidemill_app;
GRANT SELECT ON TABLE tidemill.leases TO tidemill_operator;

GRANT UPDATE(locked_until) ON TABLE tidemill.leases TO tidemill_operator;

GRANT UPDATE(limited_queue) ON TABLE tidemill.leases TO tidemill_operator;

GRANT SELECT ON TABLE tidemill.migrations TO tidemill_app;
GRANT SELECT ON TABLE tidemill.migrations TO tidemill_operator;

GRANT SELECT ON TABLE tidemill.operator_terms TO tidemill_app;
GRANT SELECT ON TABLE tidemill.operator_terms TO tidemill_operator;

GRANT UPDATE(term) ON TABLE tidemill.operator_terms TO tidemill_operator;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.queue_limits TO tidemill_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.queue_limits TO tidemill_operator;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.queues TO tidemill_app;
GRANT SELECT,INSERT,UPDATE ON TABLE tidemill.queues TO tidemill_operator;

GRANT USAGE ON SEQUENCE tidemill.task_seq TO tidemill_app;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.ready TO tidemill_app;
GRANT SELECT ON TABLE tidemill.ready TO tidemill_operator;

GRANT UPDATE(group_key) ON TABLE tidemill.ready TO tidemill_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.retention_marks TO tidemill_app;
GRANT SELECT ON TABLE tidemill.retention_marks TO tidemill_operator;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.scaling_decisions TO tidemill_app;
GRANT SELECT,INSERT ON TABLE tidemill.scaling_decisions TO tidemill_operator;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.schedule_slots TO tidemill_app;
GRANT SELECT ON TABLE tidemill.schedule_slots TO tidemill_operator;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.scheduled TO tidemill_app;
GRANT SELECT ON TABLE tidemill.scheduled TO tidemill_operator;

GRANT UPDATE(group_key) ON TABLE tidemill.scheduled TO tidemill_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.schedules TO tidemill_app;
GRANT SELECT ON TABLE tidemill.schedules TO tidemill_operator;

GRANT SELECT,INSERT,DELETE ON TABLE tidemill.tasks TO tidemill_app;
GRANT SELECT ON TABLE tidemill.tasks TO tidemill_operator;

GRANT UPDATE(queue_id) ON TABLE tidemill.tasks TO tidemill_app;

GRANT UPDATE(priority) ON TABLE tidemill.tasks TO tidemill_app;

GRANT SELECT ON TABLE tidemill.task_status TO tidemill_app;
GRANT SELECT ON TABLE tidemill.task_status TO tidemill_operator;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.task_types TO tidemill_app;
GRANT SELECT ON TABLE tidemill.task_types TO tidemill_operator;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tidemill.workers TO tidemill_app;
GRANT SELECT ON TABLE tidemill.workers TO tidemill_operator;

GRANT UPDATE(draining) ON TABLE tidemill.workers TO tidemill_operator;

GRANT UPDATE(cordoned) ON TABLE tidemill.workers TO tidemill_operator;

GRANT UPDATE(mark_term) ON TABLE tidemill.workers TO tidemill_operator;
