-- 007_conversations: what was said, and the state that modules keep between two turns.
--
-- Holds   schema conversation: conversations, messages, states.
-- Serves  GatheRing conversation: conversations, messages · OpenAgent conversations, messages
--         · Project 2501 conversations, messages, conversation_states.
-- Uses    text_search_config, the text search configuration of the language of the messages.
--
-- About the generated tsvector columns of this pack: only the first 65,536 characters are indexed. A
-- tsvector is limited to 1 MB, and without the limit the INSERT of a very long text would fail.

CREATE SCHEMA conversation;

COMMENT ON SCHEMA conversation IS 'What was said: conversations, their messages, their modules'' state.';

CREATE TABLE conversation.conversations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title text,
    channel_id core.label,
    external_user_id core.label,
    user_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE SET NULL,
    team_id uuid REFERENCES team.teams (id) ON DELETE SET NULL,
    persona_id uuid REFERENCES agent.personas (id) ON DELETE SET NULL,
    model core.label,
    provider_type core.label,
    provider_config jsonb,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Lists of conversations are sorted by created_at: an index on updated_at would have to be maintained
-- with every message.
CREATE INDEX conversations_created_idx ON conversation.conversations (created_at);
CREATE INDEX conversations_channel_idx ON conversation.conversations (channel_id, created_at DESC);
CREATE INDEX conversations_external_user_idx ON conversation.conversations (external_user_id, created_at DESC);
CREATE INDEX conversations_user_idx ON conversation.conversations (user_id, created_at DESC);
CREATE INDEX conversations_agent_idx ON conversation.conversations (agent_id);
CREATE INDEX conversations_team_idx ON conversation.conversations (team_id);
CREATE INDEX conversations_persona_idx ON conversation.conversations (persona_id);

CREATE TRIGGER conversations_touch_updated_at
    BEFORE UPDATE ON conversation.conversations
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE conversation.conversations IS
    'A dialogue between a user and an agent, team or persona. Deleting it deletes its messages, states and '
    'memories: that is how a user''s data is erased. Deleting an agent, team, persona or account keeps it.';
COMMENT ON COLUMN conversation.conversations.channel_id IS
    'Where the dialogue takes place: telegram, cli, a room; NULL for the application''s own interface.';
COMMENT ON COLUMN conversation.conversations.external_user_id IS 'The user as the channel names them.';
COMMENT ON COLUMN conversation.conversations.user_id IS 'The user''s account, if there is one.';
COMMENT ON COLUMN conversation.conversations.agent_id IS 'Agent in charge; each message names its own author.';
COMMENT ON COLUMN conversation.conversations.team_id IS 'Team in charge, for a dialogue that a team holds.';
COMMENT ON COLUMN conversation.conversations.model IS 'Model chosen for the dialogue; a message may use another.';
COMMENT ON COLUMN conversation.conversations.provider_type IS 'LLM provider: openai, anthropic, ollama.';
COMMENT ON COLUMN conversation.conversations.provider_config IS
    'Settings for the provider (endpoint, temperature, ...). No API keys.';

CREATE TABLE conversation.messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid NOT NULL REFERENCES conversation.conversations (id) ON DELETE CASCADE,
    role core.label NOT NULL,
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE SET NULL,
    content text NOT NULL,
    thinking text,
    tool_calls jsonb,
    tool_results jsonb,
    model core.label,
    tokens_used integer CONSTRAINT messages_tokens_used_not_negative CHECK (tokens_used >= 0),
    input_tokens integer CONSTRAINT messages_input_tokens_not_negative CHECK (input_tokens >= 0),
    output_tokens integer CONSTRAINT messages_output_tokens_not_negative CHECK (output_tokens >= 0),
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        to_tsvector(:'text_search_config', left(content, 65536))
    ) STORED
);

CREATE INDEX messages_conversation_idx ON conversation.messages (conversation_id, created_at, id);
CREATE INDEX messages_agent_idx ON conversation.messages (agent_id, created_at DESC);
CREATE INDEX messages_created_idx ON conversation.messages USING brin (created_at) WITH (autosummarize = on);
CREATE INDEX messages_content_idx ON conversation.messages USING gin (content_tsv);

CREATE TRIGGER messages_touch_updated_at
    BEFORE UPDATE ON conversation.messages
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE conversation.messages IS
    'The turns of a conversation. Not partitioned: memories refer to messages by id, and a message lives as '
    'long as its conversation.';
COMMENT ON COLUMN conversation.messages.role IS 'Who speaks: system, user, assistant, tool.';
COMMENT ON COLUMN conversation.messages.agent_id IS 'Agent that wrote the message, where several take part.';
COMMENT ON COLUMN conversation.messages.thinking IS 'Reasoning that came with the answer, shown apart from it.';
COMMENT ON COLUMN conversation.messages.tool_calls IS 'Tools the model asked for, as the provider returned them.';
COMMENT ON COLUMN conversation.messages.tool_results IS 'What the tools returned.';
COMMENT ON COLUMN conversation.messages.model IS 'Model that wrote the message.';
COMMENT ON COLUMN conversation.messages.tokens_used IS
    'Total where the provider reports no more than that; otherwise input_tokens and output_tokens are filled.';
COMMENT ON COLUMN conversation.messages.metadata IS 'Anything else about the message.';
COMMENT ON COLUMN conversation.messages.content_tsv IS
    'Lexemes of the first 65,536 characters of content, for full-text search; generated.';
COMMENT ON INDEX conversation.messages_conversation_idx IS 'Pages of one conversation; id breaks ties.';
COMMENT ON INDEX conversation.messages_created_idx IS
    'Ranges of time over all conversations: rows arrive in order of time, so a few pages of BRIN do.';

CREATE TABLE conversation.states (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid REFERENCES conversation.conversations (id) ON DELETE CASCADE,
    persona_id uuid REFERENCES agent.personas (id) ON DELETE CASCADE,
    module_id uuid REFERENCES agent.modules (id) ON DELETE CASCADE,
    state_key core.label NOT NULL,
    state_value jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT states_key UNIQUE (conversation_id, persona_id, module_id, state_key)
) WITH (fillfactor = 80);

CREATE INDEX states_persona_idx ON conversation.states (persona_id);
CREATE INDEX states_module_idx ON conversation.states (module_id);

CREATE TRIGGER states_touch_updated_at
    BEFORE UPDATE ON conversation.states
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE conversation.states IS
    'What a module remembers between two turns of a conversation: one value a key.';
COMMENT ON COLUMN conversation.states.module_id IS 'Module that owns the value.';
COMMENT ON COLUMN conversation.states.state_value IS 'Any JSON value; JSON null is a value, a missing row is none.';
COMMENT ON CONSTRAINT states_key ON conversation.states IS
    'Also the target of upserts. It does not compare NULLs: fill all three ids wherever they exist.';
