-- 001_agents: the agents, what they report about themselves, and the state they share.
--
-- Holds   agents, agent_heartbeats, performance_metrics, system_state, system_events.
-- Serves  the core tables of the document, to the letter: names, types, defaults, constraints and indexes.
--
-- The tables have no schema in front of their names: they are created in the first schema of search_path.

CREATE TABLE agents (
    agent_id varchar(255) PRIMARY KEY,
    state varchar(50) NOT NULL,
    started_at timestamptz,
    stopped_at timestamptz,
    config jsonb,
    metadata jsonb,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE INDEX idx_agents_state ON agents (state);
CREATE INDEX idx_agents_started_at ON agents (started_at);

COMMENT ON TABLE agents IS
    'Register of the agents. Deleting one deletes its heartbeats and metrics; its events, messages and LLM '
    'calls stay.';
COMMENT ON COLUMN agents.agent_id IS 'Name under which the agent''s process registers and reports.';
COMMENT ON COLUMN agents.state IS 'Life of the process; the monitoring queries look for running.';
COMMENT ON COLUMN agents.updated_at IS 'Set at INSERT alone; whoever updates the row has to set it.';

CREATE TABLE agent_heartbeats (
    id serial PRIMARY KEY,
    agent_id varchar(255) NOT NULL,
    timestamp timestamptz NOT NULL,
    state varchar(50),
    error_count integer DEFAULT 0,
    metrics jsonb,
    created_at timestamptz DEFAULT now(),
    FOREIGN KEY (agent_id) REFERENCES agents (agent_id) ON DELETE CASCADE
);

CREATE INDEX idx_heartbeats_agent_timestamp ON agent_heartbeats (agent_id, timestamp DESC);
CREATE INDEX idx_heartbeats_timestamp ON agent_heartbeats (timestamp DESC);

COMMENT ON TABLE agent_heartbeats IS 'Signs of life, one a minute from each agent. Kept for 30 days.';
COMMENT ON COLUMN agent_heartbeats.timestamp IS 'When the agent sent it, by the agent''s clock.';
COMMENT ON COLUMN agent_heartbeats.metrics IS
    'Gauges sent along. cpu_usage has to be a number: agent_health_summary casts it.';
COMMENT ON COLUMN agent_heartbeats.created_at IS 'When the row was written, by the server''s clock.';

CREATE TABLE performance_metrics (
    id serial PRIMARY KEY,
    agent_id varchar(255) NOT NULL,
    metric_name varchar(255) NOT NULL,
    value numeric,
    unit varchar(50),
    timestamp timestamptz DEFAULT now(),
    metadata jsonb,
    FOREIGN KEY (agent_id) REFERENCES agents (agent_id) ON DELETE CASCADE
);

CREATE INDEX idx_metrics_agent_name_timestamp ON performance_metrics (agent_id, metric_name, timestamp DESC);
CREATE INDEX idx_metrics_timestamp ON performance_metrics (timestamp DESC);

COMMENT ON TABLE performance_metrics IS
    'Measurements, one row a value, every 30 seconds for each metric. Kept for 30 days.';
COMMENT ON COLUMN performance_metrics.id IS
    'serial, as in the document: it ends at 2,147,483,647, and purged numbers do not come back. 50 agents '
    'with 10 metrics each use it up in about four years.';

CREATE TABLE system_state (
    id serial PRIMARY KEY,
    key varchar(255) UNIQUE NOT NULL,
    value jsonb,
    updated_at timestamptz DEFAULT now(),
    updated_by varchar(255)
);

CREATE INDEX idx_system_state_key ON system_state (key);

COMMENT ON TABLE system_state IS 'Key-value store through which the agents coordinate: the latest value only.';
COMMENT ON INDEX idx_system_state_key IS
    'Covers the same column as the unique index system_state_key_key, and so serves no query that the latter '
    'would not; here because the document has it. Dropping it loses nothing and makes writing cheaper.';

CREATE TABLE system_events (
    id serial PRIMARY KEY,
    event_type varchar(100) NOT NULL,
    event_data jsonb,
    agent_id varchar(255),
    timestamp timestamptz DEFAULT now(),
    severity varchar(20) DEFAULT 'INFO'
);

CREATE INDEX idx_events_type_timestamp ON system_events (event_type, timestamp DESC);
CREATE INDEX idx_events_agent_timestamp ON system_events (agent_id, timestamp DESC);
CREATE INDEX idx_events_severity ON system_events (severity);

COMMENT ON TABLE system_events IS 'What happened in the system: the audit trail. Kept for 30 days.';
COMMENT ON COLUMN system_events.agent_id IS
    'Agent concerned; NULL for the system. Without a foreign key: events outlive agents.';
COMMENT ON COLUMN system_events.severity IS 'INFO, ERROR, ... in capitals.';
