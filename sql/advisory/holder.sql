-- title: who holds one of our advisory locks
-- The lock's key is the pair (:classid, :objid), in this database.
SELECT a.pid, a.application_name, a.usename, coalesce(host(a.client_addr), 'local'), a.backend_start
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory'
  AND l.granted
  AND l.objsubid = 2
  AND l.classid = :classid
  AND l.objid = :objid
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());
