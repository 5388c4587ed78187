-- title: Sessions of clients: what each does and waits for, and since when
-- advice: agentdb inspect cancel PID ends a statement, agentdb inspect kill PID a session. Old
--         transactions hold locks and hold back vacuum: see agentdb inspect idle-in-transaction.
-- columns: transaction_age, statement_age, session_age: interval
-- sort: transaction_age desc
-- requires: role pg_monitor
SELECT a.pid,
       a.datname AS database,
       a.usename AS role,
       a.application_name AS application,
       pg_catalog.host(a.client_addr) AS client_addr,
       a.state,
       pg_catalog.concat_ws(': ', a.wait_event_type, a.wait_event) AS waits_for,
       pg_catalog.clock_timestamp() - a.xact_start AS transaction_age,
       CASE WHEN a.state = 'active' THEN pg_catalog.clock_timestamp() - a.query_start END
           AS statement_age,
       pg_catalog.clock_timestamp() - a.backend_start AS session_age,
       pg_catalog.left(
           pg_catalog.btrim(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g')), 100) AS query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid <> pg_catalog.pg_backend_pid()
  -- Without pg_monitor the type of another role's session is hidden.
  AND (a.backend_type = 'client backend'
       OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL))
ORDER BY transaction_age DESC NULLS LAST, a.state_change DESC NULLS LAST, a.pid;
