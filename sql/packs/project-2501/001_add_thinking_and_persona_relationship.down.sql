-- Rollback of migration 001: the reasoning of all messages and the persona of all conversations are lost.

BEGIN;

ALTER TABLE conversations DROP COLUMN persona_id;
ALTER TABLE messages DROP COLUMN thinking;

COMMIT;
