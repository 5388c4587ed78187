-- 005_memory: what agents remember, found by agent, by scope and by full text.
--
-- Holds   schema memory: memories, all but its column embedding.
-- Serves  the document's memory.memories with idx_memories_agent, idx_memories_scope and
--         idx_memories_value_fts.
--
-- The embedding comes with 008_memory_embedding, so that a server without pgvector has everything else. It
-- is therefore the last column of the table; in the document it stands between value and importance. Only
-- statements that rely on the order of the columns can tell: INSERT and COPY without a list of columns.

CREATE SCHEMA memory;

COMMENT ON SCHEMA memory IS 'What agents remember.';

CREATE TABLE memory.memories (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope public.memory_scope NOT NULL,
    scope_id BIGINT,
    agent_id BIGINT REFERENCES agent.agents(id),
    memory_type public.memory_type DEFAULT 'fact',
    key VARCHAR(200) NOT NULL,
    value TEXT NOT NULL,
    importance FLOAT DEFAULT 0.5,
    created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_memories_agent ON memory.memories(agent_id);
CREATE INDEX idx_memories_scope ON memory.memories(scope, scope_id);

-- A query uses this index only if it writes the expression the same way, with 'english' as its first
-- argument. A value whose lexemes exceed 1 MB is refused by PostgreSQL when it is inserted.
CREATE INDEX idx_memories_value_fts ON memory.memories USING gin(to_tsvector('english', value));

COMMENT ON TABLE memory.memories IS 'What agents keep beyond the context window.';
COMMENT ON COLUMN memory.memories.scope_id IS
    'Id of the agent, circle, conversation, project or user that scope names; NULL for the scope global.';
COMMENT ON COLUMN memory.memories.agent_id IS 'Agent that made the memory.';
COMMENT ON COLUMN memory.memories.key IS 'Short name to fetch it by, for example user_name. May repeat.';
COMMENT ON COLUMN memory.memories.value IS 'The memory itself, as text.';
COMMENT ON COLUMN memory.memories.importance IS 'Weight, by convention from 0 (passing) to 1 (essential).';
