-- Migration 006: Staged execution: execution context instead of timing, module states
--
-- execution_context is an enum in the document's list of migrations and VARCHAR(50) in its table. It is
-- VARCHAR(50) here, and the three values are a CHECK. How the timing of 005 becomes a context is not defined
-- in the document; BEFORE, AFTER and CUSTOM become IMMEDIATE, POST_RESPONSE and ON_DEMAND. The rule of 005
-- about trigger patterns goes with the timing that it speaks of.
--
-- The UNIQUE constraint begins with conversation_id and so serves that foreign key as its index. It does not
-- compare NULLs: a state without a persona can be there twice.

BEGIN;

ALTER TABLE modules
ADD COLUMN execution_context VARCHAR(50),
ADD COLUMN requires_ai_inference BOOLEAN DEFAULT FALSE,
ADD COLUMN stage_priority INTEGER DEFAULT 100;

UPDATE modules
SET execution_context = CASE execution_timing
    WHEN 'BEFORE' THEN 'IMMEDIATE'
    WHEN 'AFTER' THEN 'POST_RESPONSE'
    WHEN 'CUSTOM' THEN 'ON_DEMAND'
END
WHERE execution_timing IS NOT NULL;

ALTER TABLE modules
ADD CONSTRAINT modules_execution_context_check
    CHECK (execution_context IN ('IMMEDIATE', 'POST_RESPONSE', 'ON_DEMAND'));

ALTER TABLE modules
DROP CONSTRAINT modules_trigger_pattern_check,
DROP COLUMN execution_timing;

DROP TYPE execution_timing;

CREATE TABLE conversation_states (
    id UUID PRIMARY KEY,
    conversation_id UUID REFERENCES conversations (id) ON DELETE CASCADE,
    persona_id UUID REFERENCES personas (id) ON DELETE CASCADE,
    module_id UUID REFERENCES modules (id) ON DELETE CASCADE,
    state_key VARCHAR(255) NOT NULL,
    state_value JSONB NOT NULL,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    UNIQUE (conversation_id, persona_id, module_id, state_key)
);

CREATE INDEX ix_conversation_states_persona_id ON conversation_states (persona_id);
CREATE INDEX ix_conversation_states_module_id ON conversation_states (module_id);
CREATE INDEX ix_conversation_states_created_at ON conversation_states (created_at);

COMMENT ON TABLE conversation_states IS 'What a module remembers between two turns of a conversation.';
COMMENT ON COLUMN modules.execution_context IS
    'Stage in which the module runs: IMMEDIATE, POST_RESPONSE, ON_DEMAND; NULL if it does not run.';
COMMENT ON COLUMN modules.requires_ai_inference IS 'Whether the module''s script asks the model.';
COMMENT ON COLUMN modules.stage_priority IS 'Order within the stage: the lower, the earlier.';

COMMIT;

-- Rollback:
-- DROP TABLE conversation_states;
--
-- CREATE TYPE execution_timing AS ENUM ('BEFORE', 'AFTER', 'CUSTOM');
--
-- ALTER TABLE modules
-- ADD COLUMN execution_timing execution_timing;
--
-- UPDATE modules
-- SET execution_timing = CASE
--     WHEN execution_context = 'IMMEDIATE' THEN 'BEFORE'::execution_timing
--     WHEN execution_context = 'POST_RESPONSE' THEN 'AFTER'
--     WHEN execution_context = 'ON_DEMAND' AND trigger_pattern IS NOT NULL THEN 'CUSTOM'
-- END
-- WHERE execution_context IS NOT NULL;
--
-- ALTER TABLE modules
-- ADD CONSTRAINT modules_trigger_pattern_check
--     CHECK (execution_timing <> 'CUSTOM' OR trigger_pattern IS NOT NULL);
--
-- ALTER TABLE modules
-- DROP COLUMN execution_context,
-- DROP COLUMN requires_ai_inference,
-- DROP COLUMN stage_priority;
