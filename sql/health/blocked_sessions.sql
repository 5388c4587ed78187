-- title: Share of active sessions that wait for a lock
-- unit: share
-- warning: 0.05
-- critical: 0.25
-- source: Background Agents' target: less than 5 % blocking
-- pack: thresholds.blocking_share
-- advice: find the root blocker and end its statement
-- dig: agentdb inspect blocking
-- requires: role pg_monitor
SELECT coalesce(
           count(*) FILTER (WHERE wait_event_type = 'Lock')::float8 / nullif(count(*), 0), 0
       ) AS value,
       count(*) FILTER (WHERE wait_event_type = 'Lock') || ' of ' || count(*) || ' active sessions' AS detail
FROM pg_catalog.pg_stat_activity
WHERE state = 'active'
  AND backend_type = 'client backend'
  AND pid <> pg_catalog.pg_backend_pid();
