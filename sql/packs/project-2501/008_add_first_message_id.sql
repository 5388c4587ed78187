-- Migration 008: Add the first message that a memory goes back to
--
-- A memory outlives that message. Memories that are there already do not know theirs.

BEGIN;

ALTER TABLE conversation_memory
ADD COLUMN first_message_id UUID REFERENCES messages (id) ON DELETE SET NULL;

CREATE INDEX ix_conversation_memory_first_message_id ON conversation_memory (first_message_id);

COMMENT ON COLUMN conversation_memory.first_message_id IS
    'First message of the passage that the memory sums up.';

COMMIT;

-- Rollback:
-- ALTER TABLE conversation_memory
-- DROP COLUMN first_message_id;
