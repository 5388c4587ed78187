-- title: who keeps a lock from the session that has one of our advisory locks
-- The advisory lock's key is the pair (:classid, :objid), in this database.
-- A blocker of pid 0 is a prepared transaction.
SELECT b.pid,
       a.application_name AS name,
       a.state,
       pg_catalog.clock_timestamp() - a.xact_start AS age,
       a.query
FROM pg_catalog.pg_locks AS l
CROSS JOIN LATERAL (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) AS pid) AS b
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
WHERE l.locktype = 'advisory'
  AND l.granted
  AND l.objsubid = 2
  AND l.classid = :classid
  AND l.objid = :objid
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
ORDER BY age DESC NULLS LAST
LIMIT 3;
