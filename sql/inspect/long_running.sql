-- title: Statements that have been running for more than a minute
-- advice: agentdb inspect cancel PID ends the statement, kill PID the session.
-- columns: duration: interval
-- sort: duration desc
-- requires: role pg_monitor
SELECT a.pid,
       pg_catalog.now() - a.query_start AS duration,
       a.usename AS role,
       a.application_name AS application,
       a.state,
       pg_catalog.concat_ws(': ', a.wait_event_type, a.wait_event) AS waits_for,
       pg_catalog.left(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 100) AS query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.state <> 'idle'
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.backend_type = 'client backend'
  AND pg_catalog.now() - a.query_start > interval '1 minute'
ORDER BY duration DESC;
