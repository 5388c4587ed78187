-- 003_health_summary: the heartbeats of the last 24 hours, summed up by agent.
--
-- Holds   agent_health_summary.
-- Serves  the materialized view of the document, to the letter.
--
-- The 24 hours are those before the latest REFRESH MATERIALIZED VIEW agent_health_summary, which only the
-- owner may run (on PostgreSQL 17 or later also a role with MAINTAIN). It locks out the readers meanwhile:
-- the view has no unique index, as REFRESH ... CONCURRENTLY would need.

CREATE MATERIALIZED VIEW agent_health_summary AS
SELECT
    agent_id,
    count(*) AS heartbeat_count,
    max(timestamp) AS last_heartbeat,
    avg((metrics ->> 'cpu_usage')::numeric) AS avg_cpu
FROM agent_heartbeats
WHERE timestamp > now() - interval '24 hours'
GROUP BY agent_id;

COMMENT ON MATERIALIZED VIEW agent_health_summary IS
    'Heartbeats by agent in the 24 hours before the last refresh. Do not alert on it: until the next refresh '
    'an agent that has gone silent looks alive.';
COMMENT ON COLUMN agent_health_summary.avg_cpu IS
    'Mean of metrics.cpu_usage. One value that is not a number makes the refresh fail.';
