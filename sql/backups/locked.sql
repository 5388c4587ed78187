-- The first table that somebody holds, or waits for, so that nobody else can read it.
SELECT c.oid::bigint, n.nspname || '.' || c.relname AS relation
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation'
  AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
  AND l.relation::bigint = ANY(%s)
ORDER BY l.granted DESC
LIMIT 1;
