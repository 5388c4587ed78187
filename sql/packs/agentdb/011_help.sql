-- 011_help: questions that users put to the agents, and the answers they got.
--
-- Holds   schema help: requests, responses.
-- Serves  Background Agents help_requests, help_responses.
-- Uses    text_search_config.

CREATE SCHEMA help;

COMMENT ON SCHEMA help IS 'Help desk: users'' requests and the agents'' responses.';

CREATE TABLE help.requests (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    external_id core.label CONSTRAINT requests_external_id_key UNIQUE,
    external_user_id core.label NOT NULL,
    user_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    content text NOT NULL,
    context jsonb,
    status core.label NOT NULL DEFAULT 'pending',
    priority core.label NOT NULL DEFAULT 'medium',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        to_tsvector(:'text_search_config', left(content, 65536))
    ) STORED
);

CREATE INDEX requests_status_idx ON help.requests (status, created_at);
CREATE INDEX requests_created_idx ON help.requests (created_at);
CREATE INDEX requests_external_user_idx ON help.requests (external_user_id, created_at DESC);
CREATE INDEX requests_user_idx ON help.requests (user_id);
CREATE INDEX requests_content_idx ON help.requests USING gin (content_tsv);

CREATE TRIGGER requests_touch_updated_at
    BEFORE UPDATE ON help.requests
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE help.requests IS 'Requests for help, each with any number of responses.';
COMMENT ON COLUMN help.requests.external_id IS 'Request id chosen by the client when that is not a UUID.';
COMMENT ON COLUMN help.requests.external_user_id IS 'Who asks, as the client names them.';
COMMENT ON COLUMN help.requests.user_id IS 'Who asks: the account, if there is one.';
COMMENT ON COLUMN help.requests.context IS 'What the user was doing: page, selection, recent errors.';
COMMENT ON COLUMN help.requests.status IS 'pending, in_progress, answered, closed, failed.';
COMMENT ON COLUMN help.requests.priority IS 'low, medium, high, critical.';
COMMENT ON COLUMN help.requests.content_tsv IS
    'Lexemes of the first 65,536 characters of content, for full-text search; generated.';
COMMENT ON INDEX help.requests_status_idx IS 'The queue: what is pending, the oldest first.';

CREATE TABLE help.responses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    external_id core.label CONSTRAINT responses_external_id_key UNIQUE,
    request_id uuid NOT NULL REFERENCES help.requests (id) ON DELETE CASCADE,
    agent_id core.label,
    content text NOT NULL,
    confidence_score numeric,
    sources jsonb,
    generated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        to_tsvector(:'text_search_config', left(content, 65536))
    ) STORED
);

CREATE INDEX responses_request_idx ON help.responses (request_id, generated_at);
CREATE INDEX responses_agent_idx ON help.responses (agent_id, generated_at DESC);
CREATE INDEX responses_confidence_idx ON help.responses (confidence_score DESC);
CREATE INDEX responses_content_idx ON help.responses USING gin (content_tsv);

COMMENT ON TABLE help.responses IS 'Answers to the requests; written once, so there is no updated_at.';
COMMENT ON COLUMN help.responses.external_id IS 'Response id chosen by the agent when that is not a UUID.';
COMMENT ON COLUMN help.responses.agent_id IS
    'agent.agents.id of the author. No foreign key: the name stays when the agent goes.';
COMMENT ON COLUMN help.responses.confidence_score IS 'The agent''s confidence, by convention from 0 to 1.';
COMMENT ON COLUMN help.responses.sources IS 'What the answer rests on: documents, messages, links.';
COMMENT ON COLUMN help.responses.content_tsv IS
    'Lexemes of the first 65,536 characters of content, for full-text search; generated.';
