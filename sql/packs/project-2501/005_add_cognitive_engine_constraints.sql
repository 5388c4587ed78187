-- Migration 005: Add the execution timing of modules and constraints on their trigger patterns
--
-- The document names the enum and the constraints without defining them, and 006 replaces both. Designed:
-- the values BEFORE, AFTER (the answer of the model) and CUSTOM (when the trigger pattern matches), and the
-- rule that a CUSTOM module has a pattern. The limit of 500 characters is the one that the document's table
-- modules has in the end.
--
-- A longer pattern makes this file fail, and should: cut off, it would match something else. Modules that
-- are there already have no timing; the application sets it.

BEGIN;

CREATE TYPE execution_timing AS ENUM ('BEFORE', 'AFTER', 'CUSTOM');

ALTER TABLE modules
ADD COLUMN execution_timing execution_timing;

ALTER TABLE modules
ALTER COLUMN trigger_pattern TYPE VARCHAR(500);

ALTER TABLE modules
ADD CONSTRAINT modules_trigger_pattern_check
    CHECK (execution_timing <> 'CUSTOM' OR trigger_pattern IS NOT NULL);

COMMIT;

-- Rollback:
-- ALTER TABLE modules
-- DROP CONSTRAINT modules_trigger_pattern_check;
--
-- ALTER TABLE modules
-- ALTER COLUMN trigger_pattern TYPE TEXT;
--
-- ALTER TABLE modules
-- DROP COLUMN execution_timing;
--
-- DROP TYPE execution_timing;
