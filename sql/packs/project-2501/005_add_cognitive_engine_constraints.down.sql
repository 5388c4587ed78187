-- Rollback of migration 005: the execution timing of all modules is lost.

BEGIN;

ALTER TABLE modules
DROP CONSTRAINT modules_trigger_pattern_check;

ALTER TABLE modules
ALTER COLUMN trigger_pattern TYPE TEXT;

ALTER TABLE modules
DROP COLUMN execution_timing;

DROP TYPE execution_timing;

COMMIT;
