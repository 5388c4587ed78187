-- 002_agents: the agents, the history of their configuration and the state they share.
--
-- Holds   schema agent: agents, agent_versions, shared_state.
-- Serves  GatheRing agent.agents · Automagik agents (version management, active state tracking)
--         · Background Agents agents, system_state.

CREATE SCHEMA agent;

COMMENT ON SCHEMA agent IS
    'Who acts: agents and their versions, personas and modules, sessions, shared state.';

-- Two kinds of state on purpose: "state" is the life of the process, written by the process and watched by
-- the monitoring; "status" is whether the agent can be given work, written by whoever hands out work.
-- status changes with every piece of work. No index covers it and pages keep free space, so these updates
-- are HOT and touch no index; the register is small enough to be scanned for it.
CREATE TABLE agent.agents (
    id core.label PRIMARY KEY,
    name core.label,
    role core.label,
    provider core.label,
    model core.label,
    personality jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    state core.label NOT NULL DEFAULT 'stopped',
    status core.label NOT NULL DEFAULT 'idle',
    is_active boolean NOT NULL DEFAULT true,
    started_at timestamptz,
    stopped_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

CREATE INDEX agents_name_idx ON agent.agents (name);
CREATE INDEX agents_running_idx ON agent.agents (started_at) WHERE state = 'running';

CREATE TRIGGER agents_touch_updated_at
    BEFORE UPDATE ON agent.agents
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE agent.agents IS
    'Register of the agents. Deleting one deletes its versions, sessions, memberships, scheduled actions, '
    'heartbeats and metrics; everything else it left behind stays.';
COMMENT ON COLUMN agent.agents.id IS
    'Name under which the agent''s process registers and reports, for example performance_monitor. '
    'Text, so that telemetry reads without a join and a process needs no look-up before its first report.';
COMMENT ON COLUMN agent.agents.name IS 'Name shown to people; NULL where the id says enough.';
COMMENT ON COLUMN agent.agents.role IS 'What the agent is for: reviewer, researcher, router.';
COMMENT ON COLUMN agent.agents.provider IS
    'LLM provider: openai, anthropic, ollama. No default: the application decides, not an ageing schema.';
COMMENT ON COLUMN agent.agents.model IS 'Model name as the provider spells it. No default, as for provider.';
COMMENT ON COLUMN agent.agents.personality IS 'Traits and style that the application renders into the prompt.';
COMMENT ON COLUMN agent.agents.config IS
    'Configuration in force; its earlier states are in agent.agent_versions. No secrets.';
COMMENT ON COLUMN agent.agents.metadata IS 'Anything about the agent that does not change how it works.';
COMMENT ON COLUMN agent.agents.state IS
    'Life of the process: starting, running, stopping, stopped, error. Only a running agent owes heartbeats.';
COMMENT ON COLUMN agent.agents.status IS 'Availability for work: idle, active, busy, offline.';
COMMENT ON COLUMN agent.agents.is_active IS 'False retires the agent without losing its history.';
COMMENT ON COLUMN agent.agents.started_at IS 'Start of the current or latest run; uptime counts from here.';
COMMENT ON COLUMN agent.agents.stopped_at IS
    'End of the latest run that ended; earlier than started_at while the agent runs again.';
COMMENT ON INDEX agent.agents_running_idx IS 'Running agents by start: the list that monitoring asks for.';

CREATE TABLE agent.agent_versions (
    agent_id core.label NOT NULL REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    version integer NOT NULL CONSTRAINT agent_versions_version_positive CHECK (version > 0),
    config jsonb NOT NULL,
    is_active boolean NOT NULL DEFAULT false,
    notes text,
    created_by core.label,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, version)
);

CREATE UNIQUE INDEX agent_versions_active_key ON agent.agent_versions (agent_id) WHERE is_active;

COMMENT ON TABLE agent.agent_versions IS
    'Every configuration an agent has had, numbered from 1 per agent, of which at most one is active.';
COMMENT ON COLUMN agent.agent_versions.config IS
    'Complete snapshot (model, personality, tools, ...), so that going back needs no other row.';
COMMENT ON COLUMN agent.agent_versions.is_active IS
    'The version in force. To switch, clear the old one first: agent_versions_active_key allows one.';
COMMENT ON COLUMN agent.agent_versions.notes IS 'What changed and why.';
COMMENT ON COLUMN agent.agent_versions.created_by IS
    'User or process that made the version; a plain name, since it must outlive the account.';

CREATE TABLE agent.shared_state (
    key core.label PRIMARY KEY,
    value jsonb,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by core.label
) WITH (fillfactor = 80);

CREATE TRIGGER shared_state_touch_updated_at
    BEFORE UPDATE ON agent.shared_state
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE agent.shared_state IS
    'Key-value store through which the agents coordinate: the latest value only. '
    'Record changes worth keeping in telemetry.events.';
COMMENT ON COLUMN agent.shared_state.updated_by IS 'Agent or process that wrote the value last.';
