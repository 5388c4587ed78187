-- Undoes 002_agents.

DROP TABLE agent.shared_state;
DROP TABLE agent.agent_versions;
DROP TABLE agent.agents;
DROP SCHEMA agent;
