-- Rollback of migration 002: a conversation with messages cannot be deleted any more.

BEGIN;

ALTER TABLE messages
DROP CONSTRAINT messages_conversation_id_fkey;

ALTER TABLE messages
ADD CONSTRAINT messages_conversation_id_fkey
    FOREIGN KEY (conversation_id) REFERENCES conversations (id);

COMMIT;
