-- title: Advisory locks that applications hold or wait for
-- advice: A lock outlives its work if a pooled session never unlocks it: prefer
--         pg_advisory_xact_lock. agentdb inspect kill PID frees all locks of a session.
-- columns: key: bigint key; namespace, action: key of two integers, with the names that
--          [advisory_locks] of the pack or of agentdb.toml gives them in this database;
--          waiting, transaction_age, session_age: interval (a lock is held for the session's
--          age at most)
-- sort: granted
-- names: advisory_locks
-- requires: role pg_monitor
SELECT d.datname AS database,
       CASE WHEN l.objsubid = 1
            THEN ((l.classid::bigint << 32) | l.objid::bigint) END AS key,
       -- Both come as unsigned numbers and were given as signed ones.
       CASE WHEN l.objsubid = 2
            THEN l.classid::bigint - CASE WHEN l.classid::bigint > 2147483647
                                          THEN 4294967296 ELSE 0 END END AS namespace,
       CASE WHEN l.objsubid = 2 AND l.classid = 1634165858
            THEN 'agentdb migrate' END AS namespace_name,
       CASE WHEN l.objsubid = 2
            THEN l.objid::bigint - CASE WHEN l.objid::bigint > 2147483647
                                        THEN 4294967296 ELSE 0 END END AS action,
       NULL::text AS action_name,
       l.mode,
       l.granted,
       l.pid,
       a.usename AS role,
       a.application_name AS application,
       a.state,
       CASE WHEN NOT l.granted THEN
           pg_catalog.clock_timestamp()
           - coalesce(l.waitstart, a.query_start) -- server >= 14
           - a.query_start -- server < 14
       END AS waiting,
       pg_catalog.clock_timestamp() - a.xact_start AS transaction_age,
       pg_catalog.clock_timestamp() - a.backend_start AS session_age
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.database
WHERE l.locktype = 'advisory'
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
ORDER BY l.granted, session_age DESC NULLS LAST, l.pid, l.classid, l.objid;
