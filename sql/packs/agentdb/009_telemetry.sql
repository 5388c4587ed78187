-- 009_telemetry: the health of the agents, as they report it.
--
-- Holds   schema telemetry: heartbeats, metrics, events (a partition a day each), agent_health_summary.
-- Serves  Background Agents agent_heartbeats, performance_metrics, system_events, agent_health_summary
--         · Automagik monitoring (performance metrics).
--
-- All the time-series tables of the pack are built alike:
--   occurred_at   is the partition key, by day in UTC: retention drops a table instead of deleting rows.
--   PRIMARY KEY   (occurred_at, id), in this order, since it then serves every query by time and saves a
--                 second index. Finding a row by id alone is not foreseen: give its occurred_at too.
--   *_default     takes the rows of days that have no partition, so that no report is ever refused.
--   partitions    from yesterday to a week ahead are made here, later ones by core.create_partitions().
--
-- heartbeats and metrics belong to a registered agent and go with it, hence the foreign keys. Their price:
-- attaching a partition locks agent.agents SHARE ROW EXCLUSIVE, dropping one ACCESS EXCLUSIVE, for an
-- instant. Do it with a lock_timeout.

CREATE SCHEMA telemetry;

COMMENT ON SCHEMA telemetry IS
    'What happens, as time series by day: heartbeats, metrics, events, routing, agent messages, LLM calls.';

CREATE TABLE telemetry.heartbeats (
    id bigint GENERATED ALWAYS AS IDENTITY,
    agent_id core.label NOT NULL REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    state core.label,
    error_count integer NOT NULL DEFAULT 0
        CONSTRAINT heartbeats_error_count_not_negative CHECK (error_count >= 0),
    metrics jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX heartbeats_agent_idx ON telemetry.heartbeats (agent_id, occurred_at DESC);

CREATE TABLE telemetry.heartbeats_default PARTITION OF telemetry.heartbeats DEFAULT;

COMMENT ON TABLE telemetry.heartbeats IS
    'Signs of life, one a minute from each running agent. Partitioned by day.';
COMMENT ON COLUMN telemetry.heartbeats.occurred_at IS 'When the agent sent it, by the agent''s clock.';
COMMENT ON COLUMN telemetry.heartbeats.state IS 'The agent''s own view of its state; see agent.agents.state.';
COMMENT ON COLUMN telemetry.heartbeats.error_count IS 'Errors so far, as the agent counts them.';
COMMENT ON COLUMN telemetry.heartbeats.metrics IS 'Gauges sent along, for example {"cpu_usage": 25.5}.';
COMMENT ON COLUMN telemetry.heartbeats.created_at IS
    'When the row was written, by the server''s clock; its distance from occurred_at shows delay or clock skew.';
COMMENT ON TABLE telemetry.heartbeats_default IS 'Rows of days without a partition; empty in good order.';

CREATE TABLE telemetry.metrics (
    id bigint GENERATED ALWAYS AS IDENTITY,
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    metric_name core.label NOT NULL,
    value numeric,
    unit core.label,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb,
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX metrics_agent_name_idx ON telemetry.metrics (agent_id, metric_name, occurred_at DESC);

CREATE TABLE telemetry.metrics_default PARTITION OF telemetry.metrics DEFAULT;

COMMENT ON TABLE telemetry.metrics IS
    'Measurements, one row a value, every 30 seconds for each metric. Partitioned by day.';
COMMENT ON COLUMN telemetry.metrics.agent_id IS
    'Agent measured; NULL for a metric of the system, such as the use of the connection pool.';
COMMENT ON COLUMN telemetry.metrics.metric_name IS 'cpu_usage, response_time, pool_utilization, ...';
COMMENT ON COLUMN telemetry.metrics.unit IS 'Unit of value: percent, ms, bytes.';
COMMENT ON COLUMN telemetry.metrics.metadata IS 'Labels of the measurement: host, queue, model.';
COMMENT ON TABLE telemetry.metrics_default IS 'Rows of days without a partition; empty in good order.';

CREATE TABLE telemetry.events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_type core.label NOT NULL,
    event_data jsonb,
    agent_id core.label,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    severity core.label NOT NULL DEFAULT 'INFO',
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX events_type_idx ON telemetry.events (event_type, occurred_at DESC);
CREATE INDEX events_agent_idx ON telemetry.events (agent_id, occurred_at DESC);
CREATE INDEX events_severity_idx ON telemetry.events (severity, occurred_at DESC) WHERE severity <> 'INFO';
CREATE INDEX events_data_idx ON telemetry.events USING gin (event_data jsonb_path_ops);

CREATE TABLE telemetry.events_default PARTITION OF telemetry.events DEFAULT;

COMMENT ON TABLE telemetry.events IS
    'What happened in the system, for the audit and the on-call engineer. Partitioned by day. Append only.';
COMMENT ON COLUMN telemetry.events.event_type IS 'agent_started, agent_stopped, task_failed, ...';
COMMENT ON COLUMN telemetry.events.agent_id IS
    'Agent concerned; NULL for the system. No foreign key: events outlive agents and may precede their registration.';
COMMENT ON COLUMN telemetry.events.severity IS 'DEBUG, INFO, WARNING, ERROR, CRITICAL, in capitals by convention.';
COMMENT ON INDEX telemetry.events_severity_idx IS
    'Partial: INFO is most of the rows, and nobody looks it up by severity.';
COMMENT ON INDEX telemetry.events_data_idx IS 'Containment, for example event_data @> ''{"task": 7}''.';
COMMENT ON TABLE telemetry.events_default IS 'Rows of days without a partition; empty in good order.';

SELECT core.create_partitions(
    parent,
    (now() AT TIME ZONE 'UTC')::date - 1,
    (now() AT TIME ZONE 'UTC')::date + 7
)
FROM unnest(ARRAY['telemetry.heartbeats', 'telemetry.metrics', 'telemetry.events']::regclass[]) AS parent;

-- A plain view: it reads the two partitions that 24 hours touch (and the empty ones to come), so it costs
-- little, is right at the moment it is asked for, and needs no job to refresh it. A materialized view would
-- be out of date just when an agent has gone silent.
CREATE VIEW telemetry.agent_health_summary AS
SELECT
    agent_id,
    count(*) AS heartbeat_count,
    max(occurred_at) AS last_heartbeat,
    avg(
        CASE
            WHEN metrics ->> 'cpu_usage' ~ '^-?[0-9]+(\.[0-9]+)?$' THEN (metrics ->> 'cpu_usage')::numeric
        END
    ) AS avg_cpu
FROM telemetry.heartbeats
WHERE occurred_at > now() - interval '24 hours'
GROUP BY agent_id;

COMMENT ON VIEW telemetry.agent_health_summary IS
    'Heartbeats of the last 24 hours by agent. An agent without any is missing: join agent.agents to find those.';
COMMENT ON COLUMN telemetry.agent_health_summary.avg_cpu IS
    'Mean of metrics.cpu_usage; values that are not numbers are left out instead of failing the view.';
