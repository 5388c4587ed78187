-- 004_monitoring: how well it runs, and who was chosen for what.
--
-- Holds   performance_metrics, routing_decisions.
-- Serves  performance metrics and routing decisions. Not defined in the document, which only names its
--         module; designed here in the style of 002_agents. These are logs: they carry the names of agents,
--         teams and sessions without foreign keys and outlive what they name.

CREATE TABLE performance_metrics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id varchar(255),
    session_id varchar(255),
    metric_name varchar(255) NOT NULL,
    value double precision,
    unit varchar(50),
    extra_data jsonb,
    created_at timestamp NOT NULL DEFAULT now()
);

CREATE INDEX idx_metrics_agent_name_created ON performance_metrics (agent_id, metric_name, created_at DESC);
CREATE INDEX idx_metrics_created ON performance_metrics (created_at DESC);

COMMENT ON TABLE performance_metrics IS
    'Measurements, one row a value (not defined in the document; named by it).';
COMMENT ON COLUMN performance_metrics.agent_id IS
    'agents.agent_id of the agent measured; NULL for a metric of the system, such as the use of the connection '
    'pool or the time of vector searches.';
COMMENT ON COLUMN performance_metrics.session_id IS 'automagik_sessions.session_id, if any.';
COMMENT ON COLUMN performance_metrics.unit IS 'Unit of value: percent, ms, tokens.';
COMMENT ON COLUMN performance_metrics.extra_data IS
    'Labels of the measurement. Not called metadata, a name that SQLAlchemy''s models keep for themselves.';

CREATE TABLE routing_decisions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    team_id varchar(255),
    session_id varchar(255),
    query text,
    selected_agent varchar(255),
    candidates jsonb,
    confidence_score double precision,
    reason text,
    duration_ms double precision,
    extra_data jsonb,
    created_at timestamp NOT NULL DEFAULT now()
);

CREATE INDEX idx_routing_team_created ON routing_decisions (team_id, created_at DESC);
CREATE INDEX idx_routing_agent_created ON routing_decisions (selected_agent, created_at DESC);

COMMENT ON TABLE routing_decisions IS
    'Each choice of the agent that gets a request, with what it was based on (not defined in the document; '
    'named by it).';
COMMENT ON COLUMN routing_decisions.team_id IS 'teams.team_id of the team whose router decided.';
COMMENT ON COLUMN routing_decisions.session_id IS 'automagik_sessions.session_id, if any.';
COMMENT ON COLUMN routing_decisions.query IS 'The request that was routed, or its beginning.';
COMMENT ON COLUMN routing_decisions.selected_agent IS 'agents.agent_id of the agent chosen; NULL if none was found.';
COMMENT ON COLUMN routing_decisions.candidates IS 'The agents considered, with their scores.';
COMMENT ON COLUMN routing_decisions.confidence_score IS 'The router''s confidence, by convention from 0 to 1.';
COMMENT ON COLUMN routing_decisions.duration_ms IS 'Time that the decision took, in milliseconds.';
