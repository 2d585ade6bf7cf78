-- Oldest code that may run on the schema after this migration: 1
--
-- The whole storage of Tidemill. Who may do what is at the end. What the shape is for:
--   * a task's body is written once (tasks); only narrow rows move: ready -> leases -> attempts
--   * ready and scheduled are INSERT and DELETE only, never UPDATEd: statements that skip locked
--     rows rely on it (a row they lock cannot have a newer version)
--   * leases is the one hot table with updates (heartbeats)
--   * nothing on the hot path has a foreign key, a trigger or a GIN index
--   * no producer or worker updates a shared row: statistics are appended, then folded
-- Times are timestamptz, durations seconds. Only Postgres tells the time.

DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['tidemill_owner', 'tidemill_app', 'tidemill_operator', 'tidemill_producer'] LOOP
        -- Roles belong to the whole server: another database's migration may have made them,
        -- or may be making them right now.
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    -- From 16 on, who creates a role may administer it, but not yet act as it.
    IF current_setting('server_version_num')::integer >= 160000 THEN
        IF NOT pg_has_role(current_user, 'tidemill_owner', 'SET') THEN
            EXECUTE format('GRANT tidemill_owner TO %I WITH SET TRUE, INHERIT TRUE', current_user);
        END IF;
    ELSIF NOT pg_has_role(current_user, 'tidemill_owner', 'MEMBER') THEN
        EXECUTE format('GRANT tidemill_owner TO %I', current_user);
    END IF;
END
$roles$;

CREATE SCHEMA tidemill AUTHORIZATION tidemill_owner;

SET LOCAL ROLE tidemill_owner;

COMMENT ON SCHEMA tidemill IS 'Tidemill task queue';

CREATE TABLE tidemill.migrations (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    oldest_code integer NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN tidemill.migrations.oldest_code IS
    'lowest schema number that running code may have been written for';


-- Small tables -------------------------------------------------------------------------------

CREATE TABLE tidemill.queues (
    id                 integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name               text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$'),
    paused             boolean NOT NULL DEFAULT false,
    owner_paused       boolean NOT NULL DEFAULT false,
    priority           smallint,
    max_retries        integer CHECK (max_retries >= 0),
    timeout_seconds    double precision CHECK (timeout_seconds > 0),
    retry              json,
    lease_seconds      double precision CHECK (lease_seconds > 0),
    max_depth          integer CHECK (max_depth > 0),
    unknown_types      text CHECK (unknown_types IN ('accept', 'reject')),
    starvation_seconds double precision CHECK (starvation_seconds >= 0),
    succeeded_seconds  double precision CHECK (succeeded_seconds >= 0),
    failed_seconds     double precision CHECK (failed_seconds >= 0),
    cancelled_seconds  double precision CHECK (cancelled_seconds >= 0),
    owner_uid          text,
    owner_name         text,
    owner_fields       text[] NOT NULL DEFAULT '{}',
    owner_policy       text CHECK (owner_policy IN ('Retain', 'Purge')),
    owner_seen_at      timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tidemill.queues IS 'one row a queue; a null setting takes the system default';
COMMENT ON COLUMN tidemill.queues.paused IS 'paused by API or command line; a queue runs when neither side pauses it';
COMMENT ON COLUMN tidemill.queues.owner_paused IS 'paused by the TaskQueue that owns it';
COMMENT ON COLUMN tidemill.queues.owner_fields IS 'columns that the owning TaskQueue sets';

-- A row only for queues that have a limit: a claim on any other never looks here.
CREATE TABLE tidemill.queue_limits (
    queue_id     integer PRIMARY KEY,
    rate_tasks   double precision CHECK (rate_tasks > 0),
    rate_seconds double precision CHECK (rate_seconds > 0),
    tokens       double precision NOT NULL DEFAULT 0,
    refilled_at  timestamptz NOT NULL DEFAULT now(),
    max_running  integer CHECK (max_running > 0),
    CHECK ((rate_tasks IS NULL) = (rate_seconds IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE tidemill.queue_limits IS 'token bucket and concurrency limit of a queue; locked before leases are counted';

CREATE TABLE tidemill.task_types (
    name            text PRIMARY KEY,
    schema          json,
    description     text,
    queue           text,
    priority        smallint,
    max_retries     integer CHECK (max_retries >= 0),
    timeout_seconds double precision CHECK (timeout_seconds > 0),
    retry           json,
    paused          boolean NOT NULL DEFAULT false,
    app             text NOT NULL,
    registered_at   timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tidemill.task_types IS 'registered task types: the JSON Schema of the payload, and defaults';

CREATE TABLE tidemill.schedules (
    name         text PRIMARY KEY,
    cron         text NOT NULL,
    time_zone    text NOT NULL DEFAULT 'UTC',
    type         text NOT NULL,
    payload      json NOT NULL DEFAULT '{}',
    queue        text,
    priority     smallint,
    paused       boolean NOT NULL DEFAULT false,
    missed       text NOT NULL DEFAULT 'once' CHECK (missed IN ('once', 'skip')),
    next_slot    timestamptz,
    last_slot    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedules_next_slot ON tidemill.schedules (next_slot) WHERE NOT paused;

CREATE TABLE tidemill.schedule_slots (
    schedule text NOT NULL,
    slot     timestamptz NOT NULL,
    task_id  uuid NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schedule, slot)
);
COMMENT ON TABLE tidemill.schedule_slots IS 'written with the slot''s task in one transaction: no slot fires twice';

CREATE TABLE tidemill.workers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    slots      integer NOT NULL,
    queues     text[] NOT NULL,
    version    text NOT NULL,
    hostname   text NOT NULL,
    pid        integer NOT NULL,
    pod_uid    text,
    pod_name   text,
    container  text,
    instance   text,
    epoch      integer NOT NULL DEFAULT 1,
    draining   boolean NOT NULL DEFAULT false,
    cordoned   boolean NOT NULL DEFAULT false,
    mark_term  bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    left_at    timestamptz
) WITH (fillfactor = 50);
CREATE INDEX workers_pod ON tidemill.workers (pod_uid) WHERE pod_uid IS NOT NULL;
COMMENT ON TABLE tidemill.workers IS 'worker processes; a claim shares its row''s lock, draining and cordoning take it';
COMMENT ON COLUMN tidemill.workers.epoch IS 'raised after an unknown commit result: claims of an older epoch get nothing';
COMMENT ON COLUMN tidemill.workers.mark_term IS 'term of the operator that last set draining or cordoned; older terms are refused';
COMMENT ON COLUMN tidemill.workers.instance IS 'start time of the container''s first process: tells a restart in the same pod';

CREATE TABLE tidemill.scaling_decisions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decided_at timestamptz NOT NULL DEFAULT now(),
    target     text NOT NULL,
    queue      text NOT NULL,
    replicas   integer NOT NULL,
    desired    integer NOT NULL,
    reason     text NOT NULL,
    inputs     json NOT NULL,
    clamps     text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX scaling_decisions_target ON tidemill.scaling_decisions (target, decided_at DESC);
COMMENT ON TABLE tidemill.scaling_decisions IS 'one row a changed decision, kept 7 days';


-- Tasks --------------------------------------------------------------------------------------

CREATE TABLE tidemill.tasks (
    id              uuid NOT NULL PRIMARY KEY,
    queue_id        integer NOT NULL,
    type            text NOT NULL,
    name            text,
    priority        smallint NOT NULL,
    max_retries     integer NOT NULL,
    timeout_seconds double precision NOT NULL,
    created_at      timestamptz NOT NULL,
    run_at          timestamptz,
    expires_at      timestamptz,
    idempotency_key text,
    payload         json NOT NULL,
    retry           json,
    headers         json
) PARTITION BY RANGE (id);
COMMENT ON TABLE tidemill.tasks IS
    'the body of a task, written once; id is a UUIDv7, a partition a day: a look-up touches one partition, retention is a drop';

COMMENT ON COLUMN tidemill.tasks.run_at IS 'when it was to run first, for a task that was enqueued for later';

CREATE SEQUENCE tidemill.task_seq AS bigint CACHE 1;

CREATE TABLE tidemill.ready (
    seq         bigint NOT NULL DEFAULT nextval('tidemill.task_seq'),
    task_id     uuid NOT NULL,
    queue_id    integer NOT NULL,
    priority    smallint NOT NULL,
    lane        smallint NOT NULL CHECK (lane IN (0, 1)),
    retry_count integer NOT NULL DEFAULT 0,
    crash_count integer NOT NULL DEFAULT 0,
    ready_at    timestamptz NOT NULL,
    group_key   text,
    CONSTRAINT ready_task_id UNIQUE (task_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ready_order ON tidemill.ready (queue_id, priority DESC, lane, seq);
COMMENT ON TABLE tidemill.ready IS 'one narrow row a claimable task; INSERT and DELETE only';
COMMENT ON COLUMN tidemill.ready.lane IS '0 = returned (retry, recovery, release) with the place it had, 1 = fresh';

CREATE TABLE tidemill.scheduled (
    run_at      timestamptz NOT NULL,
    task_id     uuid NOT NULL,
    seq         bigint,
    queue_id    integer NOT NULL,
    priority    smallint NOT NULL,
    retry_count integer NOT NULL DEFAULT 0,
    crash_count integer NOT NULL DEFAULT 0,
    group_key   text,
    CONSTRAINT scheduled_task_id UNIQUE (task_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX scheduled_order ON tidemill.scheduled (run_at);
COMMENT ON TABLE tidemill.scheduled IS 'not yet due: delayed tasks and retries; INSERT and DELETE only';
COMMENT ON COLUMN tidemill.scheduled.seq IS 'the place it had, for retries; null for a task that was never ready';

CREATE SEQUENCE tidemill.lease_tokens AS bigint CACHE 1;
COMMENT ON SEQUENCE tidemill.lease_tokens IS
    'tokens of leases and of admin acts: also the order of a task''s history, whatever the clock does';

CREATE TABLE tidemill.leases (
    task_id             uuid PRIMARY KEY,
    lease_token         bigint NOT NULL,
    worker_id           bigint NOT NULL,
    locked_until        timestamptz NOT NULL,
    claimed_at          timestamptz NOT NULL,
    cancel_requested_at timestamptz,
    seq                 bigint NOT NULL,
    queue_id            integer NOT NULL,
    priority            smallint NOT NULL,
    retry_count         integer NOT NULL,
    crash_count         integer NOT NULL,
    group_key           text
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX leases_worker ON tidemill.leases (worker_id, locked_until);
COMMENT ON TABLE tidemill.leases IS 'one row a running task: who holds it, under which token, until when';

CREATE TABLE tidemill.attempts (
    task_id     uuid NOT NULL,
    token       bigint NOT NULL,
    queue_id    integer NOT NULL,
    worker_id   bigint,
    attempt     integer,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL,
    run_at      timestamptz,
    outcome     text NOT NULL CHECK (outcome IN (
        'succeeded', 'retry', 'failed', 'cancelled', 'snoozed', 'released', 'lease_expired',
        'replayed', 'moved', 'reprioritised')),
    retry_count integer NOT NULL,
    crash_count integer NOT NULL DEFAULT 0,
    error       json,
    result      json,
    actor       text
) PARTITION BY RANGE (finished_at);
CREATE INDEX attempts_task ON tidemill.attempts (task_id, token);
COMMENT ON TABLE tidemill.attempts IS
    'append-only: one row for each end of an attempt, and one for each release, snooze, replay, cancel before start and admin act';
COMMENT ON COLUMN tidemill.attempts.retry_count IS 'retries charged after this row; crash_count likewise';
COMMENT ON COLUMN tidemill.attempts.run_at IS 'when it runs again, for a retry or snooze';

CREATE TABLE tidemill.dead_letters (
    task_id     uuid PRIMARY KEY,
    queue_id    integer NOT NULL,
    type        text NOT NULL,
    failed_at   timestamptz NOT NULL,
    retry_count integer NOT NULL,
    crash_count integer NOT NULL,
    error_type  text
);
CREATE INDEX dead_letters_queue ON tidemill.dead_letters (queue_id, failed_at);
CREATE INDEX dead_letters_type ON tidemill.dead_letters (type, error_type, failed_at);
COMMENT ON TABLE tidemill.dead_letters IS 'tasks that failed for good; replay deletes here and inserts into ready';

CREATE TABLE tidemill.idempotency_keys (
    queue_id    integer NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    task_id     uuid NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (queue_id, key)
);
CREATE INDEX idempotency_keys_expiry ON tidemill.idempotency_keys (expires_at);
COMMENT ON COLUMN tidemill.idempotency_keys.fingerprint IS 'sha256 of type and canonical payload';


-- Statistics ---------------------------------------------------------------------------------

CREATE TABLE tidemill.throughput_deltas (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    queue_id        integer NOT NULL,
    enqueued        integer NOT NULL DEFAULT 0,
    started         integer NOT NULL DEFAULT 0,
    succeeded       integer NOT NULL DEFAULT 0,
    failed_attempts integer NOT NULL DEFAULT 0,
    retries         integer NOT NULL DEFAULT 0,
    first_retries   integer NOT NULL DEFAULT 0,
    dead            integer NOT NULL DEFAULT 0,
    cancelled       integer NOT NULL DEFAULT 0,
    deleted         integer NOT NULL DEFAULT 0,
    recovered       integer NOT NULL DEFAULT 0,
    snoozed         integer NOT NULL DEFAULT 0,
    released        integer NOT NULL DEFAULT 0,
    replayed        integer NOT NULL DEFAULT 0,
    run_seconds     double precision NOT NULL DEFAULT 0,
    waits           integer[],
    d_queued        integer NOT NULL DEFAULT 0,
    d_scheduled     integer NOT NULL DEFAULT 0,
    d_running       integer NOT NULL DEFAULT 0,
    d_succeeded     integer NOT NULL DEFAULT 0,
    d_failed        integer NOT NULL DEFAULT 0,
    d_cancelled     integer NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE tidemill.throughput_deltas IS
    'append-only, one row a batch and queue, written in the transaction of the act; d_ columns are signed changes of status counts';
COMMENT ON COLUMN tidemill.throughput_deltas.waits IS 'counts by bucket of tidemill.wait_bounds()';

CREATE TABLE tidemill.throughput (
    resolution      text NOT NULL CHECK (resolution IN ('10s', 'hour', 'day', 'all')),
    bucket          timestamptz NOT NULL,
    queue_id        integer NOT NULL,
    enqueued        bigint NOT NULL,
    started         bigint NOT NULL,
    succeeded       bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    retries         bigint NOT NULL,
    first_retries   bigint NOT NULL,
    dead            bigint NOT NULL,
    cancelled       bigint NOT NULL,
    deleted         bigint NOT NULL,
    recovered       bigint NOT NULL,
    snoozed         bigint NOT NULL,
    released        bigint NOT NULL,
    replayed        bigint NOT NULL,
    run_seconds     double precision NOT NULL,
    waits           bigint[],
    d_queued        bigint NOT NULL,
    d_scheduled     bigint NOT NULL,
    d_running       bigint NOT NULL,
    d_succeeded     bigint NOT NULL,
    d_failed        bigint NOT NULL,
    d_cancelled     bigint NOT NULL,
    PRIMARY KEY (resolution, bucket, queue_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE tidemill.throughput IS
    'folded deltas; every delta goes into all four resolutions, and "all" has one row a queue';

CREATE FUNCTION tidemill.wait_bounds() RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,300,1800,7200}'::double precision[];
COMMENT ON FUNCTION tidemill.wait_bounds() IS 'upper bounds in seconds of the first 16 wait buckets; the 17th is open';

CREATE FUNCTION tidemill.add_arrays(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN a IS NULL THEN b
        WHEN b IS NULL THEN a
        ELSE ARRAY(SELECT coalesce(x, 0) + coalesce(y, 0)
                     FROM unnest(a, b) WITH ORDINALITY AS pair (x, y, place) ORDER BY place)
    END;

CREATE AGGREGATE tidemill.sum_arrays(bigint[]) (
    SFUNC = tidemill.add_arrays, STYPE = bigint[], PARALLEL = SAFE);


-- Identifiers --------------------------------------------------------------------------------

-- RFC 9562 version 7: 48 bits of milliseconds, then (as section 6.2 method 3 allows) the fraction
-- of the millisecond in 12 bits, then 62 random bits. Postgres has uuidv7() from 18 on only, and
-- strong random bits for each row were a quarter of what an enqueue cost. So a statement draws them
-- once (the salt), and each row mixes in the session's generator: statements differ by their salt,
-- rows of one statement by their microsecond. Ids are no secrets: nothing relies on their not being guessed.
CREATE FUNCTION tidemill.uuid_salt() RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN ('x' || translate(substr(gen_random_uuid()::text, 20), '-', ''))::bit(64)::bigint;
COMMENT ON FUNCTION tidemill.uuid_salt() IS 'the last 64 bits of a random UUID: the variant and 62 strong random bits';

-- Inlined by the planner where its arguments are plain columns and variables. 28672 is the version,
-- 2^52 what random() is fine for: the variant's bits stay.
CREATE FUNCTION tidemill.uuid_at(microseconds bigint, salt bigint) RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED
    RETURN (lpad(to_hex(microseconds / 1000 << 16 | 28672 | microseconds % 1000 * 4096 / 1000), 16, '0')
         || to_hex(salt # (random() * 4503599627370496)::bigint))::uuid;

CREATE FUNCTION tidemill.uuid_floor(moment timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0')
         || '00000000000000000000')::uuid;
COMMENT ON FUNCTION tidemill.uuid_floor IS 'the least id that a task made at or after this moment can have';


-- Partitions ---------------------------------------------------------------------------------

-- CREATE + ATTACH instead of PARTITION OF: it takes SHARE UPDATE EXCLUSIVE on the parent, which
-- readers and writers do not notice.
CREATE FUNCTION tidemill.ensure_partitions(days_ahead integer DEFAULT 7) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
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
COMMENT ON FUNCTION tidemill.ensure_partitions IS 'creates the missing daily partitions up to so many days ahead; returns how many';


-- Enqueue ------------------------------------------------------------------------------------

-- Takes idempotency keys for new tasks. Sorted, so that two batches with the same keys cannot
-- deadlock; its caller's lock_timeout bounds the wait for a key whose first taker has not committed.
-- Two statements on purpose: the second sees what the first waited for.
CREATE FUNCTION tidemill.take_keys(
    places integer[], queue_ids integer[], keys text[], ids uuid[], fingerprints bytea[], ttls double precision[]
) RETURNS TABLE (place integer, task_id uuid, created boolean)
    LANGUAGE plpgsql
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

-- The one way in: HTTP, Python and SQL producers all come through here. Arrays are columns; a null
-- array means "not given for any task". Places in messages count from 0.
-- Errors: TM400 invalid, TM404 unknown type where types are enforced, TM409 key of another task.
-- Waits (2 s at most) only for who takes the same key or creates the same queue, and has not committed.
CREATE FUNCTION tidemill.enqueue_rows(
    types text[], payloads json[], queues text[], names text[], priorities smallint[],
    run_ats timestamptz[], delays double precision[], retry_limits integer[], timeouts double precision[],
    policies json[], keys text[], ttls double precision[], expires timestamptz[], headers json[],
    unknown_types text DEFAULT 'accept'
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

    INSERT INTO tidemill.queues (name)
    SELECT DISTINCT wanted.name FROM unnest(chosen) AS wanted (name)
     WHERE NOT EXISTS (SELECT FROM tidemill.queues q WHERE q.name = wanted.name)
     ORDER BY wanted.name
    ON CONFLICT DO NOTHING;

    SELECT d.type, (SELECT min(g.place) - 1 FROM unnest(types, queues) WITH ORDINALITY AS g (type, queue, place)
                     WHERE g.type = d.type AND coalesce(g.queue, '') = d.given) AS place INTO fault
      FROM unnest(kinds, givens, chosen) AS d (type, given, queue)
      LEFT JOIN tidemill.task_types k ON k.name = d.type
      LEFT JOIN tidemill.queues q ON q.name = d.queue
     WHERE k.name IS NULL AND coalesce(q.unknown_types, enqueue_rows.unknown_types) = 'reject'
     ORDER BY place LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tasks[%].type: % is not a registered task type', fault.place, quote_literal(fault.type)
              USING ERRCODE = 'TM404';
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

-- What a SQL producer gives is checked here; HTTP and Python check the same before they send. Each
-- raises TM400 naming the field, the rule and the value; JSON null is "not given".
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

CREATE FUNCTION tidemill.moment_of(given jsonb, field text, place bigint) RETURNS timestamptz
    LANGUAGE plpgsql STABLE
AS $$
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
$$;

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

CREATE FUNCTION tidemill.enqueue_many(tasks jsonb, notify boolean DEFAULT true)
RETURNS TABLE (id uuid, status text, created boolean, queue text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    fault record;
    c     record;
    made  record;
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
             WHEN 'payload' THEN NULL
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
           c.max_retries, c.timeouts, c.retries, c.keys, c.ttls, c.expires, c.headers) WITH ORDINALITY
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
COMMENT ON FUNCTION tidemill.enqueue_many IS
    'enqueues a JSON array of tasks (the fields of POST /api/tasks) in the caller''s transaction, all or nothing';

CREATE FUNCTION tidemill.enqueue(
    type text, payload jsonb DEFAULT '{}', queue text DEFAULT NULL, name text DEFAULT NULL,
    priority integer DEFAULT NULL, run_at timestamptz DEFAULT NULL, delay_seconds double precision DEFAULT NULL,
    max_retries integer DEFAULT NULL, timeout_seconds double precision DEFAULT NULL, retry jsonb DEFAULT NULL,
    idempotency_key text DEFAULT NULL, idempotency_ttl_seconds double precision DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL, headers jsonb DEFAULT NULL, notify boolean DEFAULT true
) RETURNS uuid
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.id FROM tidemill.enqueue_many(jsonb_build_array(jsonb_build_object(
        'type', type, 'queue', queue, 'name', name, 'priority', priority, 'run_at', run_at,
        'delay_seconds', delay_seconds, 'max_retries', max_retries, 'timeout_seconds', timeout_seconds,
        'retry', retry, 'idempotency_key', idempotency_key,
        'idempotency_ttl_seconds', idempotency_ttl_seconds, 'expires_at', expires_at, 'headers', headers,
        'payload', coalesce(payload, '{}'))), notify) AS m
$$;
COMMENT ON FUNCTION tidemill.enqueue IS 'enqueues one task in the caller''s transaction and returns its id';


-- Looking at tasks ---------------------------------------------------------------------------

CREATE VIEW tidemill.task_status AS
SELECT t.id, t.name, t.type, q.name AS queue, t.queue_id,
       CASE WHEN l.task_id IS NOT NULL THEN 'running'
            WHEN r.task_id IS NOT NULL THEN 'queued'
            WHEN s.task_id IS NOT NULL THEN 'scheduled'
            ELSE coalesce(a.outcome, 'failed') END AS status,
       t.priority, t.payload, t.headers, t.idempotency_key, t.retry,
       coalesce(l.retry_count, r.retry_count, s.retry_count, a.retry_count, 0) AS retry_count,
       coalesce(l.crash_count, r.crash_count, s.crash_count, a.crash_count, 0) AS crash_count,
       t.max_retries, t.timeout_seconds, t.created_at, t.expires_at,
       coalesce(s.run_at, t.run_at, t.created_at) AS run_at, t.run_at AS first_run_at,
       coalesce(l.claimed_at, a.started_at) AS started_at,
       CASE WHEN coalesce(l.task_id, r.task_id, s.task_id) IS NULL THEN a.finished_at END AS completed_at,
       coalesce(l.worker_id, a.worker_id) AS worker_id,
       l.cancel_requested_at,
       a.error AS last_error,
       CASE WHEN coalesce(l.task_id, r.task_id, s.task_id) IS NULL THEN a.result END AS result
  FROM tidemill.tasks t
  JOIN tidemill.queues q ON q.id = t.queue_id
  LEFT JOIN tidemill.leases l ON l.task_id = t.id
  LEFT JOIN tidemill.ready r ON r.task_id = t.id
  LEFT JOIN tidemill.scheduled s ON s.task_id = t.id
  LEFT JOIN LATERAL (
      SELECT h.outcome, h.retry_count, h.crash_count, h.started_at, h.finished_at, h.worker_id, h.error, h.result
        FROM tidemill.attempts h
       WHERE h.task_id = t.id AND h.finished_at >= t.created_at - interval '1 day'
       ORDER BY h.token DESC LIMIT 1
  ) AS a ON true;
COMMENT ON VIEW tidemill.task_status IS 'one row a task, with its status: where its row is, else what its last attempt says';


-- Who may do what ----------------------------------------------------------------------------

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tidemill FROM PUBLIC;

GRANT USAGE ON SCHEMA tidemill TO tidemill_app, tidemill_operator, tidemill_producer;

GRANT SELECT ON ALL TABLES IN SCHEMA tidemill TO tidemill_app, tidemill_operator;
GRANT INSERT, UPDATE, DELETE ON
      tidemill.queues, tidemill.queue_limits, tidemill.task_types, tidemill.schedules,
      tidemill.schedule_slots, tidemill.workers, tidemill.leases, tidemill.idempotency_keys,
      tidemill.throughput
   TO tidemill_app;
GRANT INSERT, DELETE ON
      tidemill.ready, tidemill.scheduled, tidemill.dead_letters, tidemill.throughput_deltas,
      tidemill.scaling_decisions, tidemill.tasks, tidemill.attempts
   TO tidemill_app;
-- SELECT ... FOR UPDATE asks for the UPDATE privilege on some column; nothing updates it.
GRANT UPDATE (group_key) ON tidemill.ready, tidemill.scheduled TO tidemill_app;
GRANT UPDATE (failed_at) ON tidemill.dead_letters TO tidemill_app;
GRANT UPDATE (queue_id) ON tidemill.throughput_deltas TO tidemill_app;
GRANT UPDATE (queue_id, priority) ON tidemill.tasks TO tidemill_app;
GRANT USAGE ON SEQUENCE tidemill.task_seq, tidemill.lease_tokens TO tidemill_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tidemill TO tidemill_app;

GRANT INSERT, UPDATE ON tidemill.queues, tidemill.queue_limits TO tidemill_operator;
GRANT DELETE ON tidemill.queue_limits TO tidemill_operator;
GRANT UPDATE (draining, cordoned, mark_term) ON tidemill.workers TO tidemill_operator;
GRANT UPDATE (locked_until) ON tidemill.leases TO tidemill_operator;
GRANT INSERT ON tidemill.scaling_decisions TO tidemill_operator;

GRANT EXECUTE ON FUNCTION tidemill.enqueue, tidemill.enqueue_many TO tidemill_producer;

SELECT tidemill.ensure_partitions(7);

RESET ROLE;
