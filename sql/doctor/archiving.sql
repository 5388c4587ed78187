-- title: WAL archiving
-- area: infrastructure
-- why: without every WAL file in an archive there is no point-in-time recovery, and what was written since
--      the last backup is lost with the disk
-- source: https://www.postgresql.org/docs/current/continuous-archiving.html
WITH archiver AS (
    -- include: health/archiver
), settings AS (
    SELECT pg_catalog.current_setting('archive_mode') AS mode,
           pg_catalog.current_setting('archive_command') IN ('', '(disabled)')
           AND coalesce(pg_catalog.current_setting('archive_library', true), '') = '' AS nowhere
)
SELECT CASE
           WHEN pg_catalog.pg_is_in_recovery() AND s.mode <> 'always' THEN 'skipped'
           WHEN s.mode = 'off' THEN 'warning'
           WHEN s.nowhere OR a.value > 0 THEN 'critical'
           ELSE 'ok'
       END AS status,
       CASE
           WHEN pg_catalog.pg_is_in_recovery() AND s.mode <> 'always'
               THEN 'a standby, which leaves that to its primary'
           WHEN s.mode <> 'off' AND s.nowhere
               THEN 'archiving is on, and neither archive_command nor archive_library is set'
           ELSE a.detail
       END AS value,
       CASE
           WHEN s.mode = 'off' THEN 'ALTER SYSTEM SET archive_mode = on'
           WHEN s.nowhere
               THEN $$ALTER SYSTEM SET archive_command = 'test ! -f /mnt/archive/%f && cp %p /mnt/archive/%f'; SELECT pg_catalog.pg_reload_conf()$$
       END AS sql,
       CASE
           WHEN s.mode = 'off' THEN 'takes a restart, and an archive_command before it'
           WHEN s.nowhere THEN 'put an archive of your own, off this machine, in place of /mnt/archive'
       END AS caution,
       CASE
           WHEN s.mode <> 'off' AND NOT s.nowhere
               THEN 'mend archive_command or what it writes to: the server log has its answer; see agentdb inspect wal'
       END AS advice
FROM archiver AS a
CROSS JOIN settings AS s;
