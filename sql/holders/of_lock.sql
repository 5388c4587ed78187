-- Who holds a lock on a relation that conflicts with ours, longest first.
SELECT CASE WHEN l.pid IS NULL THEN 'prepared transaction' ELSE 'session' END AS kind,
       l.pid,
       a.application_name AS name,
       a.state,
       pg_catalog.clock_timestamp() - a.xact_start AS age,
       0::bigint AS hidden
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
  AND l.relation = %(relation)s
  AND l.granted
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
  -- ShareUpdateExclusive lets readers and writers pass, AccessExclusive nobody
  AND (%(exclusive)s OR l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                                   'ExclusiveLock', 'AccessExclusiveLock'))
ORDER BY a.xact_start
LIMIT 3;
