-- Undoes 005_sessions.

DROP TABLE automagik_sessions;
