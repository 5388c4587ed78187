-- 002_agents: the agents and the history of their configuration.
--
-- Holds   agents, agent_versions.
-- Serves  agent configuration with version management and active state. Not defined in the document, which
--         only names its module; designed here with the types of knowledge_base (uuid keys, varchar(n), text,
--         timestamp), and with defaults in the database, since no models are given that would fill the columns.

CREATE TABLE agents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id varchar(255) UNIQUE NOT NULL,
    name varchar(255) NOT NULL,
    config jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp NOT NULL DEFAULT now()
);

COMMENT ON TABLE agents IS
    'Agents with the configuration in force (not defined in the document; named by it). Deleting one deletes '
    'its versions and memberships.';
COMMENT ON COLUMN agents.agent_id IS 'Name of the agent in code and configuration; what logs and metrics carry.';
COMMENT ON COLUMN agents.config IS 'Model, instructions, tools and the like, as the application reads them.';
COMMENT ON COLUMN agents.version IS 'Version in force; agent_versions keeps it with all the others.';
COMMENT ON COLUMN agents.is_active IS 'False retires the agent without losing its history.';
COMMENT ON COLUMN agents.updated_at IS 'Set at INSERT alone; whoever updates the row has to set it.';

CREATE TABLE agent_versions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    version integer NOT NULL,
    config jsonb NOT NULL,
    notes text,
    created_by varchar(255),
    created_at timestamp NOT NULL DEFAULT now(),
    UNIQUE (agent_id, version)
);

COMMENT ON TABLE agent_versions IS
    'Every configuration that an agent has had (not defined in the document; named by it).';
COMMENT ON COLUMN agent_versions.agent_id IS 'agents.id, not agents.agent_id.';
COMMENT ON COLUMN agent_versions.config IS 'Complete, so that going back to the version needs no other row.';
