-- Migration 004: Allow modules without content
--
-- An advanced module may consist of a script alone, which produces the content when it runs.

BEGIN;

ALTER TABLE modules
ALTER COLUMN content DROP NOT NULL;

COMMIT;

-- Rollback:
-- UPDATE modules
-- SET content = ''
-- WHERE content IS NULL;
--
-- ALTER TABLE modules
-- ALTER COLUMN content SET NOT NULL;
