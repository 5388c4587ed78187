-- 003_users: the people who talk to the assistant.
--
-- Holds   users.
-- Serves  the users that the document lists among what PostgreSQL stores. The table is not defined in the
--         document; it is designed here in the style of those that are.
--
-- Nothing refers to it: conversations.user_id has no foreign key in the document, and its storage saves a
-- conversation without saving a user first. A row here is optional and says more about the user.

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id varchar(255) UNIQUE NOT NULL,
    display_name varchar(255),
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    metadata jsonb DEFAULT '{}'
);

COMMENT ON TABLE users IS 'Users of all channels (not defined in the document; named by it).';
COMMENT ON COLUMN users.user_id IS
    'The name that conversations.user_id holds. Unique over all channels, since the conversations of a user are '
    'looked up by it alone: prefix it with the channel if two channels may use the same.';
