-- Undoes 010_traffic. The partitions go with their tables.

DROP TABLE telemetry.llm_calls;
DROP TABLE telemetry.agent_messages;
DROP TABLE telemetry.routing_decisions;
