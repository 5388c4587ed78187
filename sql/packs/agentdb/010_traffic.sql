-- 010_traffic: who was asked, who told whom, and what the models were sent.
--
-- Holds   telemetry.routing_decisions, telemetry.agent_messages, telemetry.llm_calls (a partition a day
--         each; built as described in 009_telemetry).
-- Serves  Automagik monitoring (routing decisions) · Background Agents agent_communications,
--         llm_conversations.
--
-- These are logs: they carry names and ids without foreign keys, and outlive what they name.

CREATE TABLE telemetry.routing_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    team_id uuid,
    session_id uuid,
    conversation_id uuid,
    request text,
    selected_agent core.label,
    candidates jsonb,
    confidence_score numeric,
    reason text,
    outcome core.label,
    duration_ms numeric CONSTRAINT routing_decisions_duration_not_negative CHECK (duration_ms >= 0),
    metadata jsonb,
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX routing_decisions_team_idx ON telemetry.routing_decisions (team_id, occurred_at DESC);
CREATE INDEX routing_decisions_agent_idx ON telemetry.routing_decisions (selected_agent, occurred_at DESC);

CREATE TABLE telemetry.routing_decisions_default PARTITION OF telemetry.routing_decisions DEFAULT;

COMMENT ON TABLE telemetry.routing_decisions IS
    'Each choice of the agent that gets a request, with what it was based on. Partitioned by day.';
COMMENT ON COLUMN telemetry.routing_decisions.team_id IS 'team.teams.id of the team whose router decided.';
COMMENT ON COLUMN telemetry.routing_decisions.session_id IS 'agent.sessions.id, if any.';
COMMENT ON COLUMN telemetry.routing_decisions.conversation_id IS 'conversation.conversations.id, if any.';
COMMENT ON COLUMN telemetry.routing_decisions.request IS 'The request that was routed, or its beginning.';
COMMENT ON COLUMN telemetry.routing_decisions.selected_agent IS
    'agent.agents.id of the agent chosen; NULL if none was found.';
COMMENT ON COLUMN telemetry.routing_decisions.candidates IS 'The agents considered, with their scores.';
COMMENT ON COLUMN telemetry.routing_decisions.confidence_score IS
    'The router''s confidence, by convention from 0 to 1.';
COMMENT ON COLUMN telemetry.routing_decisions.outcome IS 'How it went: handled, escalated, failed; NULL if unknown.';
COMMENT ON COLUMN telemetry.routing_decisions.duration_ms IS 'Time the decision took, in milliseconds.';
COMMENT ON TABLE telemetry.routing_decisions_default IS 'Rows of days without a partition; empty in good order.';

CREATE TABLE telemetry.agent_messages (
    id bigint GENERATED ALWAYS AS IDENTITY,
    from_agent core.label NOT NULL,
    to_agent core.label NOT NULL,
    message_type core.label NOT NULL,
    content jsonb,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    status core.label NOT NULL DEFAULT 'sent',
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX agent_messages_to_idx ON telemetry.agent_messages (to_agent, occurred_at DESC);
CREATE INDEX agent_messages_from_idx ON telemetry.agent_messages (from_agent, occurred_at DESC);
CREATE INDEX agent_messages_type_idx ON telemetry.agent_messages (message_type, occurred_at DESC);

CREATE TABLE telemetry.agent_messages_default PARTITION OF telemetry.agent_messages DEFAULT;

COMMENT ON TABLE telemetry.agent_messages IS
    'Messages from agent to agent. Partitioned by day.';
COMMENT ON COLUMN telemetry.agent_messages.from_agent IS 'agent.agents.id of the sender.';
COMMENT ON COLUMN telemetry.agent_messages.to_agent IS
    'agent.agents.id of the receiver, or the name of a group or topic.';
COMMENT ON COLUMN telemetry.agent_messages.message_type IS 'request, response, notification, ...';
COMMENT ON COLUMN telemetry.agent_messages.occurred_at IS 'When it was sent.';
COMMENT ON COLUMN telemetry.agent_messages.status IS
    'sent, delivered, read, failed. In no index, so that changing it can be a HOT update.';
COMMENT ON TABLE telemetry.agent_messages_default IS 'Rows of days without a partition; empty in good order.';

CREATE TABLE telemetry.llm_calls (
    id bigint GENERATED ALWAYS AS IDENTITY,
    conversation_id core.label,
    agent_id core.label,
    prompt text NOT NULL,
    response text,
    model core.label,
    tokens_used integer CONSTRAINT llm_calls_tokens_used_not_negative CHECK (tokens_used >= 0),
    cost numeric,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb,
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX llm_calls_agent_idx ON telemetry.llm_calls (agent_id, occurred_at DESC);
CREATE INDEX llm_calls_model_idx ON telemetry.llm_calls (model, occurred_at DESC);
CREATE INDEX llm_calls_conversation_idx ON telemetry.llm_calls (conversation_id, occurred_at);

CREATE TABLE telemetry.llm_calls_default PARTITION OF telemetry.llm_calls DEFAULT;

COMMENT ON TABLE telemetry.llm_calls IS
    'Calls to language models as they were made: the account of tokens and cost. Partitioned by day. No '
    'full-text index: prompts repeat whole conversations, whose messages are searchable themselves.';
COMMENT ON COLUMN telemetry.llm_calls.conversation_id IS
    'Ties together the calls of one exchange: conversation.conversations.id as text, or any name of the '
    'caller''s; NULL for a single call.';
COMMENT ON COLUMN telemetry.llm_calls.response IS 'NULL if the call failed or has not returned.';
COMMENT ON COLUMN telemetry.llm_calls.model IS 'Model as the provider names it.';
COMMENT ON COLUMN telemetry.llm_calls.tokens_used IS 'Tokens billed, prompt and response together.';
COMMENT ON COLUMN telemetry.llm_calls.cost IS 'Price of the call, in the one currency of the installation.';
COMMENT ON TABLE telemetry.llm_calls_default IS 'Rows of days without a partition; empty in good order.';

SELECT core.create_partitions(
    parent,
    (now() AT TIME ZONE 'UTC')::date - 1,
    (now() AT TIME ZONE 'UTC')::date + 7
)
FROM unnest(
    ARRAY['telemetry.routing_decisions', 'telemetry.agent_messages', 'telemetry.llm_calls']::regclass[]
) AS parent;
