-- Migration 001: Add the reasoning of a message and the persona of a conversation
--
-- A conversation may go without a persona, and one that has it keeps the persona from being deleted: the
-- foreign key has no ON DELETE.

BEGIN;

ALTER TABLE messages
ADD COLUMN thinking TEXT;

ALTER TABLE conversations
ADD COLUMN persona_id UUID REFERENCES personas (id);

CREATE INDEX ix_conversations_persona_id ON conversations (persona_id);

COMMENT ON COLUMN messages.thinking IS 'Reasoning that came with the answer.';

COMMIT;

-- Rollback:
-- ALTER TABLE conversations DROP COLUMN persona_id;
-- ALTER TABLE messages DROP COLUMN thinking;
