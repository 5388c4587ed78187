-- title: Longest session idle in a transaction
-- unit: seconds
-- warning: 60
-- critical: 600
-- source: a transaction that waits for its application keeps locks and dead rows
-- advice: mend the application, or set idle_in_transaction_session_timeout
-- dig: agentdb inspect idle-in-transaction
-- requires: role pg_monitor
SELECT coalesce(max(extract(epoch FROM pg_catalog.now() - state_change)), 0)::float8 AS value,
       coalesce(
           (pg_catalog.array_agg(
               'pid ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')
               ORDER BY state_change
           ))[1],
           'none'
       ) AS detail
FROM pg_catalog.pg_stat_activity
WHERE state LIKE 'idle in transaction%';
