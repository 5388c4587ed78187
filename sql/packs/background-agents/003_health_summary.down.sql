-- Undoes 003_health_summary.

DROP MATERIALIZED VIEW agent_health_summary;
