-- title: Share of max_connections in use
-- unit: share
-- warning: 0.8
-- critical: 0.95
-- source: Background Agents' pool target of 80 %; at 100 % new sessions are refused
-- pack: thresholds.pool_utilization
-- advice: close idle sessions, put a pooler in between, or raise max_connections
-- dig: agentdb inspect connections
-- requires: role pg_monitor
SELECT count(*)::float8 / pg_catalog.current_setting('max_connections')::float8 AS value,
       count(*) || ' of ' || pg_catalog.current_setting('max_connections') AS detail
FROM pg_catalog.pg_stat_activity
WHERE backend_type IN ('client backend', 'walsender');
