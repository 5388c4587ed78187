-- 003_agents_circles: the agents, their sessions, and the circles they work in.
--
-- Holds   schema agent: agents, sessions; schema circle: circles, memberships.
-- Serves  the document's tables of the same names, column by column, with its two indexes on agents.
--
-- As in the document: no foreign key has an ON DELETE, so an agent is deleted after its sessions,
-- memberships and memories; names of agents may repeat, names of circles may not; updated_at is written by
-- the application; there is no index on sessions.agent_id and memberships.agent_id.

CREATE SCHEMA agent;
CREATE SCHEMA circle;

COMMENT ON SCHEMA agent IS 'Who acts: agents and their sessions.';
COMMENT ON SCHEMA circle IS 'Who works together: circles and their members.';

CREATE TABLE agent.agents (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    role VARCHAR(100),
    provider VARCHAR(50) DEFAULT 'anthropic',
    model VARCHAR(100) DEFAULT 'claude-sonnet-4-20250514',
    personality JSONB DEFAULT '{}',
    config JSONB DEFAULT '{}',
    status public.agent_status DEFAULT 'idle',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_agents_status ON agent.agents(status);
CREATE INDEX idx_agents_name ON agent.agents(name);

COMMENT ON TABLE agent.agents IS 'Agents and their configuration.';
COMMENT ON COLUMN agent.agents.provider IS 'LLM provider: openai, anthropic, ollama.';

CREATE TABLE agent.sessions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id BIGINT REFERENCES agent.agents(id),
    started_at TIMESTAMPTZ DEFAULT NOW(),
    ended_at TIMESTAMPTZ,
    context JSONB DEFAULT '{}'
);

COMMENT ON TABLE agent.sessions IS 'One stretch of work of an agent.';
COMMENT ON COLUMN agent.sessions.ended_at IS 'NULL while the session is open.';

CREATE TABLE circle.circles (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(100) UNIQUE NOT NULL,
    display_name VARCHAR(200),
    description TEXT,
    config JSONB DEFAULT '{}',
    status public.circle_status DEFAULT 'created',
    created_at TIMESTAMPTZ DEFAULT NOW()
);

COMMENT ON TABLE circle.circles IS 'Groups of agents that work together.';

CREATE TABLE circle.memberships (
    circle_id BIGINT REFERENCES circle.circles(id),
    agent_id BIGINT REFERENCES agent.agents(id),
    role VARCHAR(50) DEFAULT 'member',
    joined_at TIMESTAMPTZ DEFAULT NOW(),
    PRIMARY KEY (circle_id, agent_id)
);

COMMENT ON TABLE circle.memberships IS 'Which agent belongs to which circle, and as what.';
