-- 002_help: what users ask, what agents answer, and what is said on the way.
--
-- Holds   help_requests, help_responses, agent_communications, llm_conversations.
-- Serves  the AI help system of the document, to the letter.

CREATE TABLE help_requests (
    id serial PRIMARY KEY,
    request_id varchar(255) UNIQUE NOT NULL,
    user_id varchar(255) NOT NULL,
    content text NOT NULL,
    context jsonb,
    status varchar(50) DEFAULT 'pending',
    priority varchar(20) DEFAULT 'medium',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE INDEX idx_help_requests_status ON help_requests (status);
CREATE INDEX idx_help_requests_user_id ON help_requests (user_id);
CREATE INDEX idx_help_requests_created_at ON help_requests (created_at DESC);

COMMENT ON TABLE help_requests IS 'Questions from users. Deleting one deletes its responses.';
COMMENT ON COLUMN help_requests.request_id IS 'Name by which clients and responses know the request.';

CREATE TABLE help_responses (
    id serial PRIMARY KEY,
    request_id varchar(255) NOT NULL,
    response_id varchar(255) UNIQUE NOT NULL,
    content text NOT NULL,
    confidence_score numeric,
    sources jsonb,
    generated_at timestamptz DEFAULT now(),
    agent_id varchar(255),
    FOREIGN KEY (request_id) REFERENCES help_requests (request_id) ON DELETE CASCADE
);

CREATE INDEX idx_help_responses_request_id ON help_responses (request_id);
CREATE INDEX idx_help_responses_confidence ON help_responses (confidence_score DESC);

COMMENT ON TABLE help_responses IS 'Answers that agents generated, any number of them a request.';
COMMENT ON COLUMN help_responses.request_id IS 'help_requests.request_id, not its id.';
COMMENT ON INDEX idx_help_responses_confidence IS
    'Descending order puts NULL first: a list of the best answers needs NULLS LAST, and then a sort.';

CREATE TABLE agent_communications (
    id serial PRIMARY KEY,
    from_agent varchar(255) NOT NULL,
    to_agent varchar(255) NOT NULL,
    message_type varchar(100) NOT NULL,
    content jsonb,
    timestamp timestamptz DEFAULT now(),
    status varchar(50) DEFAULT 'sent'
);

CREATE INDEX idx_communications_to_agent ON agent_communications (to_agent, timestamp DESC);
CREATE INDEX idx_communications_type ON agent_communications (message_type);

COMMENT ON TABLE agent_communications IS 'Messages from agent to agent; they outlive both.';

CREATE TABLE llm_conversations (
    id serial PRIMARY KEY,
    conversation_id varchar(255) NOT NULL,
    agent_id varchar(255),
    prompt text NOT NULL,
    response text,
    model varchar(100),
    tokens_used integer,
    cost numeric,
    timestamp timestamptz DEFAULT now(),
    metadata jsonb
);

CREATE INDEX idx_llm_conversations_agent ON llm_conversations (agent_id, timestamp DESC);
CREATE INDEX idx_llm_conversations_model ON llm_conversations (model, timestamp DESC);

COMMENT ON TABLE llm_conversations IS 'Calls to language models, one row a prompt: the account of tokens and cost.';
COMMENT ON COLUMN llm_conversations.conversation_id IS
    'Ties together the calls of one exchange. Without an index: reading one exchange scans the table.';
