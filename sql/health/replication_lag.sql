-- title: Replay lag of the slowest standby
-- unit: seconds
-- warning: 30
-- critical: 300
-- source: readers of a standby see data of that age
-- advice: look at the standby's load, network and long queries
-- dig: agentdb inspect replication
-- requires: role pg_monitor
SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 AS value,
       CASE count(*)
           WHEN 0 THEN 'no standby'
           ELSE coalesce((pg_catalog.array_agg(application_name ORDER BY replay_lag DESC NULLS LAST))[1], '')
                || ', ' || count(*) || ' in all'
       END AS detail
FROM pg_catalog.pg_stat_replication;
