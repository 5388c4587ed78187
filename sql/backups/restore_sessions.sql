-- title: the other sessions that are connected to this database
SELECT pg_catalog.format(
           'pid %s (%s, %s@%s)', pid, COALESCE(NULLIF(application_name, ''), 'no name'),
           COALESCE(usename, 'hidden'), COALESCE(client_addr::text, 'local'))
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database()
  AND pid <> pg_catalog.pg_backend_pid()
  AND backend_type = 'client backend'
ORDER BY pid;
