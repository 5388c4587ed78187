-- title: sessions that idle in a transaction and still see the database as it was
-- They would look for moved rows in the partition that these have left.
SELECT a.pid, a.application_name
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.state LIKE 'idle in transaction%'
  AND a.backend_xmin IS NOT NULL
ORDER BY a.xact_start
LIMIT 1;
