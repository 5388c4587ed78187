-- Migration 000: Initial schema
--
-- Holds   personas, modules, conversations, messages as they were before the first migration that the
--         document lists; it does not show them. They are worked out from what 001 to 008 change.
--
-- As in the document: ids of UUID have no default and timestamps neither default nor time zone, since the
-- application supplies both. PostgreSQL indexes no foreign key by itself, so each gets an index here and in
-- the files to come, as does each created_at; the names are those that SQLAlchemy gives.

BEGIN;

CREATE TABLE personas (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    template TEXT NOT NULL,
    mode VARCHAR(50),
    loop_frequency VARCHAR(50),
    first_message TEXT,
    image_path VARCHAR(500),
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE INDEX ix_personas_created_at ON personas (created_at);

-- content: nullable from 004 on. trigger_pattern: limited in 005.
CREATE TABLE modules (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    content TEXT NOT NULL,
    type VARCHAR(50) NOT NULL,
    trigger_pattern TEXT,
    script TEXT,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE INDEX ix_modules_created_at ON modules (created_at);

CREATE TABLE conversations (
    id UUID PRIMARY KEY,
    title VARCHAR(255) NOT NULL,
    provider_type VARCHAR(50),
    provider_config JSONB,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE INDEX ix_conversations_created_at ON conversations (created_at);

-- conversation_id: ON DELETE CASCADE from 002 on. id: a UUID from 003 on.
CREATE TABLE messages (
    id SERIAL PRIMARY KEY,
    conversation_id UUID REFERENCES conversations (id),
    role VARCHAR(50) NOT NULL,
    content TEXT NOT NULL,
    extra_data JSONB,
    input_tokens INTEGER,
    output_tokens INTEGER,
    created_at TIMESTAMP,
    updated_at TIMESTAMP
);

CREATE INDEX ix_messages_conversation_id ON messages (conversation_id);
CREATE INDEX ix_messages_created_at ON messages (created_at);

COMMENT ON TABLE personas IS 'Characters a conversation is held with.';
COMMENT ON TABLE modules IS 'Building blocks of a persona''s template: text, or a script that produces it.';
COMMENT ON TABLE conversations IS 'Dialogues of the user with a persona.';
COMMENT ON TABLE messages IS 'The turns of a conversation.';

COMMIT;

-- Rollback:
-- DROP TABLE messages;
-- DROP TABLE conversations;
-- DROP TABLE modules;
-- DROP TABLE personas;
