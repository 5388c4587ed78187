-- Undoes 009_telemetry. The partitions go with their tables; a detached one that is still in the schema
-- stops DROP SCHEMA, and should.

DROP VIEW telemetry.agent_health_summary;
DROP TABLE telemetry.events;
DROP TABLE telemetry.metrics;
DROP TABLE telemetry.heartbeats;
DROP SCHEMA telemetry;
