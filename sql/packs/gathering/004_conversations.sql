-- 004_conversations: what users and agents said to each other.
--
-- Holds   schema conversation: conversations, messages.
-- Serves  the document's schema conversation. It names the two and shows no column: what is in them is not
--         defined in the document.

CREATE SCHEMA conversation;

COMMENT ON SCHEMA conversation IS 'What users and agents said to each other.';

-- not defined in the document
CREATE TABLE conversation.conversations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title VARCHAR(200),
    user_id BIGINT REFERENCES auth.users(id),
    agent_id BIGINT REFERENCES agent.agents(id),
    circle_id BIGINT REFERENCES circle.circles(id),
    status VARCHAR(20) DEFAULT 'active',
    context JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_conversations_user ON conversation.conversations(user_id, created_at);
CREATE INDEX idx_conversations_agent ON conversation.conversations(agent_id);
CREATE INDEX idx_conversations_circle ON conversation.conversations(circle_id);

COMMENT ON TABLE conversation.conversations IS 'A dialogue of a user with an agent or with a circle.';
COMMENT ON COLUMN conversation.conversations.status IS 'active or archived.';

-- not defined in the document
CREATE TABLE conversation.messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id BIGINT NOT NULL REFERENCES conversation.conversations(id),
    agent_id BIGINT REFERENCES agent.agents(id),
    role VARCHAR(50) NOT NULL,
    content TEXT NOT NULL,
    metadata JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_messages_conversation ON conversation.messages(conversation_id, id);
CREATE INDEX idx_messages_agent ON conversation.messages(agent_id);

COMMENT ON TABLE conversation.messages IS 'The turns of a conversation, in the order of their ids.';
COMMENT ON COLUMN conversation.messages.agent_id IS 'Agent that wrote the message; NULL for the user''s own.';
COMMENT ON COLUMN conversation.messages.role IS 'Who speaks: system, user, assistant, tool.';
