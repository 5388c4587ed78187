-- A session that is waited for.
SELECT 'session' AS kind,
       a.pid,
       a.application_name AS name,
       a.state,
       pg_catalog.clock_timestamp() - a.xact_start AS age,
       0::bigint AS hidden
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid = %s;
