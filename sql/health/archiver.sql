-- title: WAL files that could not be archived since the last success
-- unit: count
-- warning: 0
-- critical: 0
-- source: a gap in the archive makes point-in-time recovery impossible
-- advice: mend archive_command or its target; the server's log says what it answered
-- dig: agentdb inspect wal
SELECT CASE
           WHEN pg_catalog.current_setting('archive_mode') = 'off' THEN 0
           WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 1
           ELSE 0
       END::float8 AS value,
       CASE
           WHEN pg_catalog.current_setting('archive_mode') = 'off' THEN 'archiving is off'
           WHEN last_failed_time > coalesce(last_archived_time, '-infinity')
               THEN last_failed_wal || ' failed at ' || last_failed_time::timestamptz(0)
           ELSE 'last archived ' || coalesce(last_archived_time::timestamptz(0)::text, 'never')
       END AS detail
FROM pg_catalog.pg_stat_archiver;
