-- The tables of GatheRing's document, as it states them; its enum types with the values it uses.

CREATE EXTENSION vector;
CREATE TYPE agent_status AS ENUM ('idle', 'active');
CREATE TYPE circle_status AS ENUM ('created');
CREATE TYPE memory_scope AS ENUM ('agent');
CREATE TYPE memory_type AS ENUM ('fact');
CREATE SCHEMA agent;
CREATE SCHEMA circle;
CREATE SCHEMA memory;
CREATE TABLE agent.agents ( id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(100) NOT NULL, role VARCHAR(100), provider VARCHAR(50) DEFAULT 'anthropic', model VARCHAR(100) DEFAULT 'claude-sonnet-4-20250514', personality JSONB DEFAULT '{}', config JSONB DEFAULT '{}', status agent_status DEFAULT 'idle', created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW() );
CREATE TABLE agent.sessions ( id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, agent_id BIGINT REFERENCES agent.agents(id), started_at TIMESTAMPTZ DEFAULT NOW(), ended_at TIMESTAMPTZ, context JSONB DEFAULT '{}' );
CREATE TABLE circle.circles ( id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(100) UNIQUE NOT NULL, display_name VARCHAR(200), description TEXT, config JSONB DEFAULT '{}', status circle_status DEFAULT 'created', created_at TIMESTAMPTZ DEFAULT NOW() );
CREATE TABLE circle.memberships ( circle_id BIGINT REFERENCES circle.circles(id), agent_id BIGINT REFERENCES agent.agents(id), role VARCHAR(50) DEFAULT 'member', joined_at TIMESTAMPTZ DEFAULT NOW(), PRIMARY KEY (circle_id, agent_id) );
CREATE TABLE memory.memories ( id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, scope memory_scope NOT NULL, scope_id BIGINT, agent_id BIGINT REFERENCES agent.agents(id), memory_type memory_type DEFAULT 'fact', key VARCHAR(200) NOT NULL, value TEXT NOT NULL, embedding vector(1536), importance FLOAT DEFAULT 0.5, created_at TIMESTAMPTZ DEFAULT NOW() );
CREATE INDEX idx_memories_embedding ON memory.memories USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
CREATE INDEX idx_agents_status ON agent.agents(status);
CREATE INDEX idx_agents_name ON agent.agents(name);
CREATE INDEX idx_memories_agent ON memory.memories(agent_id);
CREATE INDEX idx_memories_scope ON memory.memories(scope, scope_id);
CREATE INDEX idx_memories_value_fts ON memory.memories USING gin(to_tsvector('english', value));
