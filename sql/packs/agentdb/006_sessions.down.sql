-- Undoes 006_sessions.

DROP TABLE agent.sessions;
