-- Oldest code that may run on the schema after this migration: 1
--
-- Retention: where its passes stand, waiting tasks by the time they expire, whole days dropped,
-- parents analysed. What is thinned row by row is plain statements (queries/thin*.sql).

SET LOCAL ROLE tidemill_owner;

CREATE TABLE tidemill.retention_marks (
    name  text PRIMARY KEY,
    at    timestamptz NOT NULL DEFAULT 'epoch',
    id    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    page  bigint NOT NULL DEFAULT 0,
    final boolean NOT NULL DEFAULT false,
    rules text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
COMMENT ON TABLE tidemill.retention_marks IS
    'how far each pass of retention has come; who works on one holds its row''s lock';
COMMENT ON COLUMN tidemill.retention_marks.page IS
    'page of that day''s partition of attempts: rows are appended, so pages are in the order of time';
COMMENT ON COLUMN tidemill.retention_marks.final IS 'the day is over, and this pass sees all of it';
COMMENT ON COLUMN tidemill.retention_marks.rules IS
    'fingerprint of the queues'' own keep times: a change starts the pass again';

-- Costs only the tasks that give the field.
CREATE INDEX tasks_expires ON tidemill.tasks (expires_at, id) WHERE expires_at IS NOT NULL;

CREATE FUNCTION tidemill.any_alive(low uuid, beyond uuid) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
    SELECT EXISTS (SELECT FROM tidemill.dead_letters d WHERE d.task_id >= low AND d.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.scheduled s WHERE s.task_id >= low AND s.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.ready r WHERE r.task_id >= low AND r.task_id < beyond)
        OR EXISTS (SELECT FROM tidemill.leases l WHERE l.task_id >= low AND l.task_id < beyond)
$$;
COMMENT ON FUNCTION tidemill.any_alive IS 'whether any task of these ids waits, runs or is a dead letter';

-- Inlined: what an end says, and the keep times of its queue.
CREATE FUNCTION tidemill.is_due(outcome text, finished_at timestamptz, succeeded double precision, cancelled double precision)
RETURNS boolean
    LANGUAGE sql STABLE
    RETURN coalesce(finished_at <= statement_timestamp() - make_interval(
               secs => CASE outcome WHEN 'succeeded' THEN succeeded ELSE cancelled END), false);
COMMENT ON FUNCTION tidemill.is_due IS 'whether a task that ended so is past its keep time; no end: not';

-- Drops a day of bodies when every one of them has ended and is past its keep time. The long part,
-- counting what goes, holds no lock. Then, in one transaction that gives up after 200 ms of waiting
-- for either lock: the day alone is closed to writers and its rows are counted again (nothing comes
-- to a past day, so the same number is the same rows); then the parent is locked, live rows are looked
-- for once more (a new statement sees what was committed before the lock), and the day is dropped.
CREATE FUNCTION tidemill.drop_day(day date, keep_succeeded double precision, keep_cancelled double precision)
RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
    SET enable_seqscan = on SET enable_bitmapscan = on SET jit = off
AS $$
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
$$;
COMMENT ON FUNCTION tidemill.drop_day IS
    'drops a day of bodies that are all past their keep time; dropped, or why not: early, missing, held, busy (try again)';

-- A body needs the row of its end: a day of attempts goes when no body ended on it is left. Rows of
-- tasks that live on may go with it; where such a task is, is its status.
CREATE FUNCTION tidemill.drop_attempts_day(day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
    SET enable_seqscan = on SET enable_bitmapscan = on SET jit = off
AS $$
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
$$;
COMMENT ON FUNCTION tidemill.drop_attempts_day IS
    'drops a day of attempts that no kept task ended on; dropped, or why not: early, missing, held (dead letters), kept (other ends), busy';

-- Autovacuum never analyses a partitioned parent. A small sample: the hot statements' plans do not hang on it.
CREATE FUNCTION tidemill.analyze_parents() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET default_statistics_target = 10
AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) tidemill.tasks, tidemill.attempts;
END
$$;
COMMENT ON FUNCTION tidemill.analyze_parents IS 'analyses tasks and attempts with all their days';

GRANT SELECT ON tidemill.retention_marks TO tidemill_app, tidemill_operator;
GRANT INSERT, UPDATE, DELETE ON tidemill.retention_marks TO tidemill_app;
REVOKE ALL ON FUNCTION tidemill.any_alive, tidemill.is_due, tidemill.drop_day, tidemill.drop_attempts_day, tidemill.analyze_parents FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.any_alive, tidemill.is_due, tidemill.drop_day, tidemill.drop_attempts_day, tidemill.analyze_parents
   TO tidemill_app;

RESET ROLE;
