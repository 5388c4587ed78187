-- title: Free space on the disk of the data directory
-- area: infrastructure
-- why: on a full disk the server stops, and VACUUM FULL or REINDEX need room for a copy
-- source: agentdb: a warning below 20 %, critical below 10 %; WAL needs max_wal_size of it
SELECT CASE
           WHEN :disk_free IS NULL THEN 'unknown'
           WHEN :disk_free * 10 < :disk_size
             OR :disk_free < pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))
               THEN 'critical'
           WHEN :disk_free * 5 < :disk_size THEN 'warning'
           ELSE 'ok'
       END AS status,
       CASE
           WHEN :disk_free IS NULL
               THEN 'the disk of the server cannot be read from here'
           ELSE pg_catalog.format(
               '%s of %s free', pg_catalog.pg_size_pretty(:disk_free),
               pg_catalog.pg_size_pretty(:disk_size)
           )
       END AS value,
       NULL AS sql,
       NULL AS caution,
       CASE
           WHEN :disk_free IS NULL
               THEN 'run it on the machine of the server, through its socket, as a member of pg_read_all_settings'
           ELSE 'agentdb inspect table-sizes shows what takes it; agentdb purge removes what is past its time'
       END AS advice;
