-- Rollback of migration 007: all memories are lost. The extension vector stays: nothing records whether it
-- was there before, and other tables of the database may use it.

BEGIN;

DROP TABLE conversation_memory;

COMMIT;
