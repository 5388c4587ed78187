-- Undoes 002_help.

DROP TABLE llm_conversations;
DROP TABLE agent_communications;
DROP TABLE help_responses;
DROP TABLE help_requests;
