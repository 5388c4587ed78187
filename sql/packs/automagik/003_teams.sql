-- 003_teams: agents that work together, and how a request finds its member.
--
-- Holds   teams, team_members.
-- Serves  team composition, routing logic and member positions. Not defined in the document, which only names
--         its module; designed here in the style of 002_agents.

CREATE TABLE teams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    team_id varchar(255) UNIQUE NOT NULL,
    name varchar(255) NOT NULL,
    description text,
    routing_mode varchar(50) NOT NULL DEFAULT 'route',
    routing_rules jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp NOT NULL DEFAULT now()
);

COMMENT ON TABLE teams IS
    'Teams of agents (not defined in the document; named by it). Deleting one deletes its memberships.';
COMMENT ON COLUMN teams.team_id IS 'Name of the team in code and configuration, as in automagik_sessions.team_id.';
COMMENT ON COLUMN teams.routing_mode IS
    'How a request finds its member, as Agno calls it: route, coordinate, collaborate.';
COMMENT ON COLUMN teams.routing_rules IS
    'What the router goes by; each choice that it makes is a row of routing_decisions.';
COMMENT ON COLUMN teams.updated_at IS 'Set at INSERT alone; whoever updates the row has to set it.';

CREATE TABLE team_members (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    team_id uuid NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    position integer NOT NULL,
    role varchar(50),
    created_at timestamp NOT NULL DEFAULT now(),
    UNIQUE (team_id, agent_id),
    UNIQUE (team_id, position) DEFERRABLE
);

CREATE INDEX idx_team_members_agent ON team_members (agent_id);

COMMENT ON TABLE team_members IS
    'Which agents make up a team, each once (not defined in the document; named by it).';
COMMENT ON COLUMN team_members.position IS
    'Place within the team. Its unique constraint is deferrable, so that one UPDATE can reorder a whole team.';
COMMENT ON COLUMN team_members.role IS 'Part that the agent plays in the team.';
