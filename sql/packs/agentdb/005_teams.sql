-- 005_teams: agents that work together, and how work reaches them.
--
-- Holds   schema team: teams, members.
-- Serves  GatheRing circle.circles, circle.memberships · Automagik teams (composition, routing, member
--         positions).

CREATE SCHEMA team;

COMMENT ON SCHEMA team IS 'Who works with whom: teams (also called circles) and their members.';

CREATE TABLE team.teams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name core.label NOT NULL CONSTRAINT teams_name_key UNIQUE,
    display_name core.label,
    description text,
    status core.label NOT NULL DEFAULT 'created',
    routing_mode core.label,
    routing_rules jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER teams_touch_updated_at
    BEFORE UPDATE ON team.teams
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE team.teams IS 'Groups of agents that take on work together.';
COMMENT ON COLUMN team.teams.name IS 'Unique name used in configuration and in code.';
COMMENT ON COLUMN team.teams.display_name IS 'Name shown to people; NULL where name says enough.';
COMMENT ON COLUMN team.teams.status IS 'Life of the team: created, running, paused, stopped, archived.';
COMMENT ON COLUMN team.teams.routing_mode IS
    'How a request finds its member, for example route, coordinate or collaborate; NULL without routing.';
COMMENT ON COLUMN team.teams.routing_rules IS
    'What the router goes by; each choice it makes is a row of telemetry.routing_decisions.';

CREATE TABLE team.members (
    team_id uuid NOT NULL REFERENCES team.teams (id) ON DELETE CASCADE,
    agent_id core.label NOT NULL REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    role core.label NOT NULL DEFAULT 'member',
    position integer,
    joined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, agent_id),
    CONSTRAINT members_position_key UNIQUE (team_id, position) DEFERRABLE
);

CREATE INDEX members_agent_idx ON team.members (agent_id);

COMMENT ON TABLE team.members IS 'Which agents make up a team, each at most once.';
COMMENT ON COLUMN team.members.role IS 'Part the agent plays in the team: member, lead, reviewer.';
COMMENT ON COLUMN team.members.position IS
    'Order within the team; NULL where order does not matter.';
COMMENT ON CONSTRAINT members_position_key ON team.members IS
    'Deferrable, so that one UPDATE can reorder a whole team without passing through gaps.';
