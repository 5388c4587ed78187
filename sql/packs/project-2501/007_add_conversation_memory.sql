-- Migration 007: Add the episodic memory of conversations
--
-- Uses    embedding_dimensions, what the embedding model returns; 1536 in the document. An HNSW index takes
--         up to 2,000.
--
-- The table comes first, the embedding and its index last, and only where the server has pgvector: 008, and
-- everything that does not search by similarity, then works without it. The embedding is therefore the last
-- column of this file; in the document it stands between importance and metadata. Once pgvector has been
-- installed, run this file again with psql: it leaves alone what is there and adds what is missing.
--
-- The decay of importance is not stored; the application works it out from importance, last_accessed and
-- access_count. The distance of the index is not defined in the document; cosine is what an embedding model
-- of that size is made for. Types and operators of pgvector are written with the schema that it is in, which
-- need not be on the search_path; CREATE EXTENSION is for a superuser, unless somebody has run it before.

BEGIN;

CREATE TABLE IF NOT EXISTS conversation_memory (
    id UUID PRIMARY KEY,
    conversation_id UUID REFERENCES conversations (id) ON DELETE CASCADE,
    persona_id UUID REFERENCES personas (id) ON DELETE SET NULL,
    content TEXT NOT NULL,
    memory_type VARCHAR(50),
    importance FLOAT DEFAULT 0.5,
    metadata JSONB,
    last_accessed TIMESTAMP,
    access_count INTEGER DEFAULT 0,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE INDEX IF NOT EXISTS ix_conversation_memory_conversation_id ON conversation_memory (conversation_id);
CREATE INDEX IF NOT EXISTS ix_conversation_memory_persona_id ON conversation_memory (persona_id);
CREATE INDEX IF NOT EXISTS ix_conversation_memory_created_at ON conversation_memory (created_at);

COMMENT ON TABLE conversation_memory IS
    'What a persona remembers of a conversation. It goes with the conversation and outlives the persona.';
COMMENT ON COLUMN conversation_memory.memory_type IS 'Class of the memory, in the application''s words.';
COMMENT ON COLUMN conversation_memory.importance IS 'Weight, by convention from 0 (passing) to 1 (essential).';

-- A DO block cannot see the variables of psql; the setting ends with the transaction.
SELECT set_config('agentdb.embedding_dimensions', :'embedding_dimensions', TRUE);

DO $$
DECLARE
    dimensions INTEGER := current_setting('agentdb.embedding_dimensions');
    vector_schema NAME;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        RAISE NOTICE 'conversation_memory has no embedding: the server does not have pgvector; once it does, '
            'run 007_add_conversation_memory.sql again with psql';
        RETURN;
    END IF;

    -- Into the last schema of search_path, which everything in this database has in common.
    EXECUTE format(
        'CREATE EXTENSION IF NOT EXISTS vector SCHEMA %I',
        coalesce((current_schemas(FALSE))[cardinality(current_schemas(FALSE))], 'public')
    );

    SELECT n.nspname
    INTO vector_schema
    FROM pg_extension AS e
    JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector';

    EXECUTE format(
        'ALTER TABLE conversation_memory ADD COLUMN IF NOT EXISTS embedding %I.vector(%s)',
        vector_schema, dimensions
    );
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS ix_conversation_memory_embedding ON conversation_memory '
        'USING hnsw (embedding %I.vector_cosine_ops) WITH (m = 16, ef_construction = 64)',
        vector_schema
    );

    COMMENT ON COLUMN conversation_memory.embedding IS
        'Embedding of content, compared by cosine distance (<=>). All must come from one model.';
END
$$;

COMMIT;

-- Rollback:
-- DROP TABLE conversation_memory;
