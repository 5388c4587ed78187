-- 001_conversations: conversations and their messages.
--
-- Holds   conversations, messages.
-- Serves  the first two tables of the document, to the letter. It gives them no index beside the primary keys.
--
-- The tables have no schema in front of their names: they are created in the first schema of search_path.

CREATE TABLE conversations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    channel_id varchar(255) NOT NULL,
    user_id varchar(255) NOT NULL,
    model varchar(255),
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    metadata jsonb DEFAULT '{}'
);

COMMENT ON TABLE conversations IS
    'Exchanges between a user and the assistant. Deleting one deletes its messages and memories.';
COMMENT ON COLUMN conversations.channel_id IS 'Channel it came through: telegram, cli.';
COMMENT ON COLUMN conversations.user_id IS 'The user as the channel names them; see users.user_id.';
COMMENT ON COLUMN conversations.updated_at IS 'Set at INSERT alone; whoever updates the row has to set it.';

CREATE TABLE messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid REFERENCES conversations (id) ON DELETE CASCADE,
    role varchar(50) NOT NULL,
    content text NOT NULL,
    tool_calls jsonb,
    tool_results jsonb,
    model varchar(255),
    tokens_used integer,
    created_at timestamptz DEFAULT now(),
    metadata jsonb DEFAULT '{}'
);

COMMENT ON TABLE messages IS 'What was said in a conversation, by whom and with which tools.';
COMMENT ON COLUMN messages.conversation_id IS
    'Without an index, as in the document: reading one conversation scans the table, and so does deleting one.';
COMMENT ON COLUMN messages.role IS 'user, assistant, system, tool.';
