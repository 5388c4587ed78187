-- Rollback of migration 006: the states of all modules, requires_ai_inference and stage_priority are lost.
--
-- A module ON_DEMAND without a trigger pattern has no timing to go back to, since 005 demands a pattern of
-- CUSTOM; it is left without one.

BEGIN;

DROP TABLE conversation_states;

CREATE TYPE execution_timing AS ENUM ('BEFORE', 'AFTER', 'CUSTOM');

ALTER TABLE modules
ADD COLUMN execution_timing execution_timing;

UPDATE modules
SET execution_timing = CASE
    WHEN execution_context = 'IMMEDIATE' THEN 'BEFORE'::execution_timing
    WHEN execution_context = 'POST_RESPONSE' THEN 'AFTER'
    WHEN execution_context = 'ON_DEMAND' AND trigger_pattern IS NOT NULL THEN 'CUSTOM'
END
WHERE execution_context IS NOT NULL;

ALTER TABLE modules
ADD CONSTRAINT modules_trigger_pattern_check
    CHECK (execution_timing <> 'CUSTOM' OR trigger_pattern IS NOT NULL);

ALTER TABLE modules
DROP COLUMN execution_context,
DROP COLUMN requires_ai_inference,
DROP COLUMN stage_priority;

COMMIT;
