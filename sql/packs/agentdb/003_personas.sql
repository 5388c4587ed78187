-- 003_personas: what an agent appears as, and the modules its prompt is assembled from.
--
-- Holds   agent.personas, agent.modules.
-- Serves  Project 2501 personas, modules.

CREATE TABLE agent.personas (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name core.label NOT NULL,
    description text,
    template text NOT NULL,
    mode core.label,
    loop_frequency core.label,
    first_message text,
    image_path text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX personas_name_idx ON agent.personas (name);

CREATE TRIGGER personas_touch_updated_at
    BEFORE UPDATE ON agent.personas
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE agent.personas IS
    'Characters a conversation is held with. Names may repeat: copies and drafts are common.';
COMMENT ON COLUMN agent.personas.template IS 'System prompt with placeholders that name the modules to insert.';
COMMENT ON COLUMN agent.personas.mode IS 'How the persona runs, for example reactive or autonomous.';
COMMENT ON COLUMN agent.personas.loop_frequency IS
    'How often an autonomous persona takes a turn, in the application''s notation.';
COMMENT ON COLUMN agent.personas.first_message IS 'Greeting that opens a new conversation.';
COMMENT ON COLUMN agent.personas.image_path IS 'Avatar: path or URL, not the image.';
COMMENT ON COLUMN agent.personas.is_active IS 'False hides the persona from new conversations.';

CREATE TABLE agent.modules (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name core.label NOT NULL,
    description text,
    content text,
    type core.label NOT NULL,
    trigger_pattern text,
    script text,
    execution_context text
        CONSTRAINT modules_execution_context_known
        CHECK (execution_context IN ('IMMEDIATE', 'POST_RESPONSE', 'ON_DEMAND')),
    requires_ai_inference boolean NOT NULL DEFAULT false,
    stage_priority integer NOT NULL DEFAULT 100,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX modules_name_idx ON agent.modules (name);
CREATE INDEX modules_stage_idx ON agent.modules (execution_context, stage_priority) WHERE is_active;

CREATE TRIGGER modules_touch_updated_at
    BEFORE UPDATE ON agent.modules
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE agent.modules IS
    'Reusable pieces of prompt or script that a persona''s template refers to by name.';
COMMENT ON COLUMN agent.modules.content IS 'Text to insert; NULL for a module that is a script alone.';
COMMENT ON COLUMN agent.modules.type IS 'Kind of module, for example simple or advanced.';
COMMENT ON COLUMN agent.modules.trigger_pattern IS 'Pattern in the conversation that makes the module run.';
COMMENT ON COLUMN agent.modules.script IS 'Program the application runs in its sandbox; PostgreSQL never does.';
COMMENT ON COLUMN agent.modules.execution_context IS
    'When the module runs: IMMEDIATE before the answer, POST_RESPONSE after it, ON_DEMAND when called.';
COMMENT ON COLUMN agent.modules.requires_ai_inference IS 'True if running the module costs a model call.';
COMMENT ON COLUMN agent.modules.stage_priority IS 'Order within the stage; the lower number runs first.';
COMMENT ON INDEX agent.modules_stage_idx IS 'The modules of one stage in the order in which they run.';
