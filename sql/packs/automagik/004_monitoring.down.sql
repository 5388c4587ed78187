-- Undoes 004_monitoring.

DROP TABLE routing_decisions;
DROP TABLE performance_metrics;
