-- Undoes 001_agents.

DROP TABLE system_events;
DROP TABLE system_state;
DROP TABLE performance_metrics;
DROP TABLE agent_heartbeats;
DROP TABLE agents;
