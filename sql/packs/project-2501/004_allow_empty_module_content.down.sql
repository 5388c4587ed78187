-- Rollback of migration 004: modules without content get an empty one.

BEGIN;

UPDATE modules
SET content = ''
WHERE content IS NULL;

ALTER TABLE modules
ALTER COLUMN content SET NOT NULL;

COMMIT;
