-- title: Statements in the server log that may hold secrets
-- area: security
-- none: no statement is logged as a rule, or without its parameters
-- why: prompts, keys and personal data then lie in files that more people read than the database, and longer
-- source: agentdb: log_statement mod or all, every duration, or parameters of errors; log_statement = ddl is left
--         to audits; https://www.postgresql.org/docs/current/runtime-config-logging.html
WITH settings AS (
    SELECT pg_catalog.current_setting('log_statement') AS statements,
           pg_catalog.current_setting('log_min_duration_statement') AS duration,
           pg_catalog.current_setting('log_parameter_max_length_on_error') AS on_error
)
SELECT 'warning' AS status,
       'log_statement is ' || s.statements AS value,
       $$ALTER SYSTEM SET log_statement = 'ddl'; SELECT pg_catalog.pg_reload_conf()$$ AS sql
FROM settings AS s
WHERE s.statements IN ('mod', 'all')
UNION ALL
SELECT 'warning',
       'log_min_duration_statement is 0: every statement is logged',
       $$ALTER SYSTEM SET log_min_duration_statement = '1s'; SELECT pg_catalog.pg_reload_conf()$$
FROM settings AS s
WHERE s.duration = '0'
UNION ALL
SELECT 'warning',
       'log_parameter_max_length_on_error is ' || s.on_error,
       'ALTER SYSTEM SET log_parameter_max_length_on_error = 0; SELECT pg_catalog.pg_reload_conf()'
FROM settings AS s
WHERE s.on_error <> '0';
