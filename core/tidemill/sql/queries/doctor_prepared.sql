-- Purpose: transactions of this database that were prepared and not ended.
-- Locks: none.
SELECT p.gid, p.owner::text AS owner, age(p.transaction) AS transactions,
       extract(epoch FROM statement_timestamp() - p.prepared)::double precision AS seconds
  FROM pg_prepared_xacts p
 WHERE p.database = current_database()
 ORDER BY p.prepared
