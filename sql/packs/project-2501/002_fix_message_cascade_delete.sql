-- Migration 002: Delete the messages of a conversation together with it
--
-- A foreign key's ON DELETE cannot be altered, so the constraint is made anew; nobody sees the table without
-- it, since both statements take effect together.

BEGIN;

ALTER TABLE messages
DROP CONSTRAINT messages_conversation_id_fkey;

ALTER TABLE messages
ADD CONSTRAINT messages_conversation_id_fkey
    FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE CASCADE;

COMMIT;

-- Rollback:
-- ALTER TABLE messages
-- DROP CONSTRAINT messages_conversation_id_fkey;
--
-- ALTER TABLE messages
-- ADD CONSTRAINT messages_conversation_id_fkey
--     FOREIGN KEY (conversation_id) REFERENCES conversations (id);
