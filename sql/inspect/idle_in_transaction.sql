-- title: Sessions that have a transaction open and do nothing in it
-- advice: They keep their locks, and VACUUM keeps every row that died since their xmin. agentdb
--         inspect kill PID ends one; idle_in_transaction_session_timeout ends all to come.
-- columns: idle, transaction_age: interval; xmin_age: transactions; relation_locks: count
-- sort: transaction_age desc
-- requires: role pg_monitor
SELECT a.pid,
       a.datname AS database,
       a.usename AS role,
       a.application_name AS application,
       pg_catalog.host(a.client_addr) AS client_addr,
       a.state,
       pg_catalog.clock_timestamp() - a.state_change AS idle,
       pg_catalog.clock_timestamp() - a.xact_start AS transaction_age,
       pg_catalog.age(a.backend_xmin) AS xmin_age,
       (SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_locks AS l
        WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.granted) AS relation_locks,
       pg_catalog.left(
           pg_catalog.btrim(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g')), 100)
           AS last_query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.state IN ('idle in transaction', 'idle in transaction (aborted)')
  AND a.pid <> pg_catalog.pg_backend_pid()
ORDER BY transaction_age DESC NULLS LAST, a.pid;
