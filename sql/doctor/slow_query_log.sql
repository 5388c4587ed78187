-- title: Slow statements in the server log
-- area: monitoring
-- why: the statement that was slow at three in the morning, with its values, stands nowhere else
-- source: Background Agents logs from 1 second on
SELECT CASE WHEN s.value = '-1' THEN 'warning' ELSE 'ok' END AS status,
       CASE WHEN s.value = '-1' THEN 'log_min_duration_statement is -1: none is logged'
            ELSE 'logged from ' || s.value || ' on' END AS value,
       $$ALTER SYSTEM SET log_min_duration_statement = '1s'; SELECT pg_catalog.pg_reload_conf()$$ AS sql
FROM (SELECT pg_catalog.current_setting('log_min_duration_statement')) AS s (value);
