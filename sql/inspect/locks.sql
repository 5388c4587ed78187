-- title: Locks on relations, held and waited for; the waited for and the strongest first
-- advice: agentdb inspect blocking shows who waits for whom. AccessExclusiveLock stops readers too:
--         keep DDL in short transactions, under a lock_timeout.
-- columns: waiting, transaction_age: interval
-- sort: granted
-- requires: role pg_monitor
SELECT l.pid,
       d.datname AS database,
       -- A relation of another database is a mere OID from here.
       coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
                l.relation::text) AS relation,
       l.mode,
       l.granted,
       CASE WHEN NOT l.granted THEN
           pg_catalog.clock_timestamp()
           - coalesce(l.waitstart, a.query_start) -- server >= 14
           - a.query_start -- server < 14
       END AS waiting,
       pg_catalog.clock_timestamp() - a.xact_start AS transaction_age,
       a.usename AS role,
       a.application_name AS application,
       a.state,
       pg_catalog.left(
           pg_catalog.btrim(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g')), 100) AS query
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.database
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid = l.relation
    AND (l.database = 0 OR d.datname = pg_catalog.current_database())
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation'
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
ORDER BY l.granted,
         pg_catalog.array_position(
             ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
                   'ShareUpdateExclusiveLock', 'RowExclusiveLock', 'RowShareLock',
                   'AccessShareLock'],
             l.mode),
         transaction_age DESC NULLS LAST, l.pid, relation;
