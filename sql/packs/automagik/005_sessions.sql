-- 005_sessions: the sessions of teams, as Agno stores them.
--
-- Holds   automagik_sessions.
-- Serves  PostgresStorage(table_name="automagik_sessions", mode="team") of the document. Its columns are not
--         defined in the document; they are those that Agno 1.x creates, with its types, defaults and indexes,
--         so that it finds the table made and uses it.
--
-- Agno looks in the schema ai unless PostgresStorage is given another: either pass it schema=None (or the
-- schema of this pack), or put the pack into ai. In ai, Agno's own names of the three indexes would be
-- ix_ai_automagik_sessions_...; it does not ask for them once the table is there.

CREATE TABLE automagik_sessions (
    session_id varchar PRIMARY KEY,
    user_id varchar,
    memory jsonb,
    session_data jsonb,
    extra_data jsonb,
    created_at bigint DEFAULT (extract(epoch FROM now()))::bigint,
    updated_at bigint,
    team_id varchar,
    team_session_id varchar,
    team_data jsonb
);

CREATE INDEX ix_automagik_sessions_user_id ON automagik_sessions (user_id);
CREATE INDEX ix_automagik_sessions_team_id ON automagik_sessions (team_id);
CREATE INDEX ix_automagik_sessions_team_session_id ON automagik_sessions (team_session_id);

COMMENT ON TABLE automagik_sessions IS
    'Sessions of teams, written by Agno (named by the document; the columns are those of Agno).';
COMMENT ON COLUMN automagik_sessions.memory IS 'Runs and summaries that Agno reloads with the session.';
COMMENT ON COLUMN automagik_sessions.session_data IS 'State of the session at the last save.';
COMMENT ON COLUMN automagik_sessions.created_at IS 'Seconds since 1970-01-01 00:00 UTC.';
COMMENT ON COLUMN automagik_sessions.updated_at IS 'Seconds since 1970-01-01 00:00 UTC; NULL until the second save.';
COMMENT ON COLUMN automagik_sessions.team_session_id IS 'Session of the team within which this one runs, if any.';
COMMENT ON COLUMN automagik_sessions.team_data IS 'The team as it was: name, model, members.';
