-- title: Timing of reads and writes
-- area: monitoring
-- why: without it nobody tells a slow disk from a slow plan, in EXPLAIN as in pg_stat_statements
-- source: https://www.postgresql.org/docs/current/runtime-config-statistics.html; pg_test_timing measures what it costs
SELECT CASE s.value WHEN 'on' THEN 'ok' ELSE 'warning' END AS status,
       'track_io_timing is ' || s.value AS value,
       'ALTER SYSTEM SET track_io_timing = on; SELECT pg_catalog.pg_reload_conf()' AS sql
FROM (SELECT pg_catalog.current_setting('track_io_timing')) AS s (value);
