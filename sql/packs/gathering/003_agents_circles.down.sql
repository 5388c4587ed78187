-- Undoes 003_agents_circles. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE circle.memberships;
DROP TABLE circle.circles;
DROP TABLE agent.sessions;
DROP TABLE agent.agents;
DROP SCHEMA circle;
DROP SCHEMA agent;
