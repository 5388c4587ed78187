-- 008_memory: what agents remember, and the knowledge base they answer from.
--
-- Holds   schema memory: memories, access_stats, knowledge. The embeddings are added by 015_vector, so that
--         a server without pgvector has everything else, full-text search included.
-- Serves  GatheRing memory.memories · OpenAgent memories · Project 2501 conversation_memory
--         · Automagik knowledge_base.
-- Uses    text_search_config.

CREATE SCHEMA memory;

COMMENT ON SCHEMA memory IS 'What is known: long-term memories and the knowledge base.';

CREATE TABLE memory.memories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    scope core.label NOT NULL DEFAULT 'agent',
    scope_id core.label,
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE SET NULL,
    conversation_id uuid REFERENCES conversation.conversations (id) ON DELETE CASCADE,
    persona_id uuid REFERENCES agent.personas (id) ON DELETE SET NULL,
    first_message_id uuid REFERENCES conversation.messages (id) ON DELETE SET NULL,
    memory_type core.label DEFAULT 'fact',
    key core.label,
    content text NOT NULL,
    importance double precision NOT NULL DEFAULT 0.5,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector(:'text_search_config', coalesce(key, '')), 'A')
        || setweight(to_tsvector(:'text_search_config', left(content, 65536)), 'B')
    ) STORED
);

CREATE INDEX memories_scope_idx ON memory.memories (scope, scope_id, key);
CREATE INDEX memories_agent_idx ON memory.memories (agent_id, memory_type);
CREATE INDEX memories_conversation_idx ON memory.memories (conversation_id);
CREATE INDEX memories_persona_idx ON memory.memories (persona_id);
CREATE INDEX memories_first_message_idx ON memory.memories (first_message_id);
CREATE INDEX memories_content_idx ON memory.memories USING gin (content_tsv);
CREATE INDEX memories_metadata_idx ON memory.memories USING gin (metadata jsonb_path_ops);

-- Naming the columns keeps a new embedding from counting as a change of the memory.
CREATE TRIGGER memories_touch_updated_at
    BEFORE UPDATE OF scope, scope_id, agent_id, conversation_id, persona_id, first_message_id, memory_type,
        key, content, importance, metadata
    ON memory.memories
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE memory.memories IS
    'What agents keep beyond the context window. A memory of a conversation goes with the conversation; one '
    'of an agent or persona stays when these are deleted, since forgetting is a decision of its own.';
COMMENT ON COLUMN memory.memories.scope IS
    'Who may recall it: agent, conversation, circle, project, user, global. The default is the narrowest.';
COMMENT ON COLUMN memory.memories.scope_id IS
    'Id, as text, of what the scope names; NULL where agent_id or conversation_id already tells.';
COMMENT ON COLUMN memory.memories.agent_id IS 'Agent that made the memory or whom it belongs to.';
COMMENT ON COLUMN memory.memories.conversation_id IS 'Conversation it was drawn from.';
COMMENT ON COLUMN memory.memories.persona_id IS 'Persona that was speaking.';
COMMENT ON COLUMN memory.memories.first_message_id IS 'First message of the passage it sums up.';
COMMENT ON COLUMN memory.memories.memory_type IS 'fact, preference, episode, ...; NULL if not classified.';
COMMENT ON COLUMN memory.memories.key IS
    'Short name to fetch it by, for example user_name. Not unique: the latest of a key is usually wanted.';
COMMENT ON COLUMN memory.memories.content IS 'The memory itself, as text.';
COMMENT ON COLUMN memory.memories.importance IS
    'Weight at the time of writing, by convention from 0 (passing) to 1 (essential). Decay is computed at '
    'recall from this, created_at and memory.access_stats, not stored.';
COMMENT ON COLUMN memory.memories.updated_at IS 'Last change of anything but the embedding.';
COMMENT ON COLUMN memory.memories.content_tsv IS
    'Lexemes of key (weight A) and of the first 65,536 characters of content (weight B); generated.';

-- Apart from memory.memories, whose rows would otherwise be written anew at every recall: a row with a
-- generated tsvector and a trigger is not updated HOT once its text is compressed, so each recall would add
-- an entry to the full-text and the vector index.
CREATE TABLE memory.access_stats (
    memory_id uuid PRIMARY KEY REFERENCES memory.memories (id) ON DELETE CASCADE,
    access_count integer NOT NULL DEFAULT 0
        CONSTRAINT access_stats_access_count_not_negative CHECK (access_count >= 0),
    last_accessed_at timestamptz
) WITH (fillfactor = 70);

COMMENT ON TABLE memory.access_stats IS
    'How often and when a memory was last recalled; no row until the first time. Unindexed but for the key '
    'and with free space in each page, so that counting is mostly a matter of HOT updates.';
COMMENT ON COLUMN memory.access_stats.access_count IS 'Number of recalls.';
COMMENT ON COLUMN memory.access_stats.last_accessed_at IS 'Latest recall; feeds the decay of importance.';

CREATE TABLE memory.knowledge (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    domain core.label NOT NULL,
    question text NOT NULL,
    answer text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector(:'text_search_config', left(question, 16384)), 'A')
        || setweight(to_tsvector(:'text_search_config', left(answer, 49152)), 'B')
    ) STORED
);

CREATE INDEX knowledge_domain_idx ON memory.knowledge (domain);
CREATE INDEX knowledge_content_idx ON memory.knowledge USING gin (content_tsv);
CREATE INDEX knowledge_metadata_idx ON memory.knowledge USING gin (metadata jsonb_path_ops);

CREATE TRIGGER knowledge_touch_updated_at
    BEFORE UPDATE OF domain, question, answer, metadata ON memory.knowledge
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE memory.knowledge IS
    'Question-and-answer pairs that agents answer from, by domain.';
COMMENT ON COLUMN memory.knowledge.domain IS 'Subject area; search is usually confined to one.';
COMMENT ON COLUMN memory.knowledge.updated_at IS 'Last change of anything but the embedding.';
COMMENT ON COLUMN memory.knowledge.content_tsv IS
    'Lexemes of the beginnings of question (weight A) and answer (weight B), 65,536 characters in all; generated.';
