-- A clock that stands: installed into a test's database, in front of Postgres's own functions.
-- Sessions with `tidemill_clock` in front of their search_path see it, and so does every function of
-- the schema tidemill, whoever calls it.
CREATE SCHEMA tidemill_clock;

CREATE TABLE tidemill_clock.stands (at timestamptz NOT NULL);
INSERT INTO tidemill_clock.stands (at) SELECT pg_catalog.statement_timestamp();

CREATE FUNCTION tidemill_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    RETURN (SELECT at FROM tidemill_clock.stands);
-- Ids are made of this one: it goes on a little at each call, so that they keep their order.
CREATE SEQUENCE tidemill_clock.ticks;
CREATE FUNCTION tidemill_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    RETURN (SELECT at + nextval('tidemill_clock.ticks') * interval '1 ms' FROM tidemill_clock.stands);
CREATE FUNCTION tidemill_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    RETURN (SELECT at FROM tidemill_clock.stands);

GRANT USAGE ON SCHEMA tidemill_clock TO PUBLIC;
GRANT SELECT ON tidemill_clock.stands TO PUBLIC;
GRANT USAGE ON SEQUENCE tidemill_clock.ticks TO PUBLIC;

SET LOCAL ROLE tidemill_owner; -- as migrations do: whoever may migrate may do this
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT p.oid FROM pg_proc p
         WHERE p.pronamespace = 'tidemill'::regnamespace
           AND EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path TO tidemill_clock, pg_catalog, pg_temp', one);
    END LOOP;
END $$;
RESET ROLE;
