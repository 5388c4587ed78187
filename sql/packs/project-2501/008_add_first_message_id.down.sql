-- Rollback of migration 008: memories no longer know the message they go back to.

BEGIN;

ALTER TABLE conversation_memory
DROP COLUMN first_message_id;

COMMIT;
