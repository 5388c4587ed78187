-- 006_sessions: the working sessions of agents, teams and workflows.
--
-- Holds   agent.sessions.
-- Serves  GatheRing agent.sessions · Automagik automagik_sessions (session storage in agent, team and
--         workflow mode).

CREATE TABLE agent.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    external_id core.label CONSTRAINT sessions_external_id_key UNIQUE,
    mode text NOT NULL DEFAULT 'agent'
        CONSTRAINT sessions_mode_known CHECK (mode IN ('agent', 'team', 'workflow')),
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    team_id uuid REFERENCES team.teams (id) ON DELETE CASCADE,
    workflow_id core.label,
    parent_session_id uuid REFERENCES agent.sessions (id) ON DELETE SET NULL,
    user_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    external_user_id core.label,
    context jsonb NOT NULL DEFAULT '{}',
    memory jsonb NOT NULL DEFAULT '{}',
    session_data jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_end_after_start CHECK (ended_at >= started_at)
);

CREATE INDEX sessions_agent_idx ON agent.sessions (agent_id, started_at DESC);
CREATE INDEX sessions_team_idx ON agent.sessions (team_id, started_at DESC);
CREATE INDEX sessions_parent_idx ON agent.sessions (parent_session_id);
CREATE INDEX sessions_user_idx ON agent.sessions (user_id);
CREATE INDEX sessions_external_user_idx ON agent.sessions (external_user_id, started_at DESC);
CREATE INDEX sessions_open_idx ON agent.sessions (started_at) WHERE ended_at IS NULL;

CREATE TRIGGER sessions_touch_updated_at
    BEFORE UPDATE ON agent.sessions
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE agent.sessions IS
    'One stretch of work of an agent, a team or a workflow, with what has to be restored to resume it. '
    'It goes with its agent or team.';
COMMENT ON COLUMN agent.sessions.external_id IS
    'Session id chosen by the framework when that is not a UUID.';
COMMENT ON COLUMN agent.sessions.mode IS
    'Whose session it is, and so which of agent_id, team_id and workflow_id is filled.';
COMMENT ON COLUMN agent.sessions.workflow_id IS 'Workflow as the framework names it; workflows live in code.';
COMMENT ON COLUMN agent.sessions.parent_session_id IS
    'Team session on behalf of which a member''s session runs.';
COMMENT ON COLUMN agent.sessions.user_id IS 'Account of the user, if there is one.';
COMMENT ON COLUMN agent.sessions.external_user_id IS 'User as the framework or channel names them.';
COMMENT ON COLUMN agent.sessions.context IS 'What the session was started with.';
COMMENT ON COLUMN agent.sessions.memory IS
    'Run history and summaries that the framework reloads; lasting memories are in memory.memories.';
COMMENT ON COLUMN agent.sessions.session_data IS
    'State of the agent, team or workflow at the last save.';
COMMENT ON COLUMN agent.sessions.ended_at IS 'NULL while the session is open.';
COMMENT ON INDEX agent.sessions_open_idx IS 'Open sessions, oldest first: those forgotten stand at the top.';
