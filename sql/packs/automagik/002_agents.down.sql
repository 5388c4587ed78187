-- Undoes 002_agents.

DROP TABLE agent_versions;
DROP TABLE agents;
