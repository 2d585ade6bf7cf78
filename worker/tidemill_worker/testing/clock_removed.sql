-- Puts back what clock.sql changed.
SET LOCAL ROLE tidemill_owner;
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT p.oid FROM pg_proc p
         WHERE p.pronamespace = 'tidemill'::regnamespace
           AND EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=tidemill_clock,%')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path TO pg_catalog, pg_temp', one);
    END LOOP;
END $$;
RESET ROLE;

DROP SCHEMA IF EXISTS tidemill_clock CASCADE;
