-- title: Age of the oldest transaction
-- unit: seconds
-- warning: 300
-- critical: 3600
-- source: Background Agents looks for statements over 5 minutes; an hour keeps vacuum from its work
-- advice: end it if nobody needs it: it holds back vacuum and may hold locks
-- dig: agentdb inspect long-running
-- requires: role pg_monitor
SELECT coalesce(max(extract(epoch FROM pg_catalog.now() - xact_start)), 0)::float8 AS value,
       coalesce(
           (pg_catalog.array_agg(
               'pid ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')
               ORDER BY xact_start
           ))[1],
           'none'
       ) AS detail
FROM pg_catalog.pg_stat_activity
WHERE xact_start IS NOT NULL
  AND backend_type = 'client backend'
  AND pid <> pg_catalog.pg_backend_pid();
