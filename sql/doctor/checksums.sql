-- title: Data checksums
-- area: infrastructure
-- why: without them a page that the disk damaged is read as if it were sound, and copied into each backup
-- source: https://www.postgresql.org/docs/current/checksums.html; initdb switches them on since 18
SELECT CASE pg_catalog.current_setting('data_checksums') WHEN 'on' THEN 'ok' ELSE 'warning' END
           AS status,
       pg_catalog.current_setting('data_checksums') AS value,
       NULL AS sql,
       NULL AS caution,
       'stop the server, run pg_checksums --enable on its data directory, start it again' AS advice;
