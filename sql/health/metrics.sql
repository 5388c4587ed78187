-- title: Time since the last metric, while an agent is running
-- unit: seconds
-- warning: 120
-- critical: 600
-- source: Background Agents collects them every 30 s; four are missing then
-- pack: 4 * thresholds.metrics_interval_seconds 4 * metrics.interval_seconds
-- advice: look at the collector
-- dig: agentdb agents
-- needs: metrics agents
SELECT CASE
           WHEN NOT EXISTS (SELECT FROM :"agents_table" WHERE :"state_column" = ANY (:'running_states')) THEN 0
           ELSE coalesce(extract(epoch FROM pg_catalog.now() - max(:"time_column")), 1e9)
       END::float8 AS value,
       coalesce('last at ' || max(:"time_column")::timestamptz(0), 'none within a day') AS detail
FROM :"table"
WHERE :"time_column" > pg_catalog.now() - interval '1 day';
