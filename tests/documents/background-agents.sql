-- The SQL of the document of Background Agents, in its order; test_documents.py says how it is read.
--
-- Its database is called background_agents. The tables and indexes that it shows are in schemas/.

-- # Database Configuration / Performance Optimization
-- outside-transaction
-- expect-error: 55P02 the server reads it at its start alone
SET shared_preload_libraries = 'pg_stat_statements';
-- instead: for the next start
ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';
-- instead: and this takes it back
ALTER SYSTEM RESET shared_preload_libraries;
-- expect-error: 55P02 the server reads it at its start alone
SET track_activity_query_size = 2048;
-- instead: for the next start
ALTER SYSTEM SET track_activity_query_size = 2048;
-- instead: and this takes it back
ALTER SYSTEM RESET track_activity_query_size;
SET log_min_duration_statement = 1000;
-- expect-error: 55P02 the server reads it at its start alone
SET shared_buffers = '256MB';
-- instead: for the next start
ALTER SYSTEM SET shared_buffers = '256MB';
-- instead: and this takes it back
ALTER SYSTEM RESET shared_buffers;
SET effective_cache_size = '1GB';
SET work_mem = '16MB';
SET maintenance_work_mem = '64MB';

-- # Agent Connection Patterns / Connection Management
-- parameters: 'performance_monitor', 'cpu_usage', 25.5
-- expect: rows
INSERT INTO performance_metrics (agent_id, metric_name, value) VALUES ($1, $2, $3);
-- expect-error: 23503 an agent has to be registered in agents before its first metric
-- parameters: 'unregistered', 'cpu_usage', 25.5
INSERT INTO performance_metrics (agent_id, metric_name, value) VALUES ($1, $2, $3);

-- # Monitoring Queries / Active Agents
-- expect: rows
SELECT
    agent_id,
    state,
    started_at,
    NOW() - started_at AS uptime
FROM agents
WHERE state = 'running'
ORDER BY started_at;

-- # Monitoring Queries / Recent Heartbeats
-- expect: rows
SELECT
    agent_id,
    timestamp,
    state,
    error_count,
    metrics->'cpu_usage' as cpu_usage
FROM agent_heartbeats
WHERE timestamp > NOW() - INTERVAL '5 minutes'
ORDER BY timestamp DESC;

-- # Monitoring Queries / Performance Metrics Summary
-- expect: rows
SELECT
    agent_id,
    metric_name,
    AVG(value) as avg_value,
    MAX(value) as max_value,
    COUNT(*) as sample_count
FROM performance_metrics
WHERE timestamp > NOW() - INTERVAL '1 hour'
GROUP BY agent_id, metric_name
ORDER BY agent_id, metric_name;

-- # Monitoring Queries / System Health Overview
-- expect: counts
SELECT
    'Total Agents' as metric,
    COUNT(*) as value
FROM agents
UNION ALL
SELECT
    'Running Agents' as metric,
    COUNT(*) as value
FROM agents WHERE state = 'running'
UNION ALL
SELECT
    'Recent Heartbeats (5min)' as metric,
    COUNT(*) as value
FROM agent_heartbeats WHERE timestamp > NOW() - INTERVAL '5 minutes'
UNION ALL
SELECT
    'Error Events (1hour)' as metric,
    COUNT(*) as value
FROM system_events WHERE severity = 'ERROR' AND timestamp > NOW() - INTERVAL '1 hour';

-- # Regular Maintenance Tasks / Daily
-- Update table statistics
ANALYZE;

-- Check for long-running queries
SELECT pid, now() - pg_stat_activity.query_start AS duration, query
FROM pg_stat_activity
WHERE (now() - pg_stat_activity.query_start) > interval '5 minutes';

-- # Regular Maintenance Tasks / Weekly
-- outside-transaction
-- Vacuum analyze for performance
VACUUM ANALYZE;

-- Check database size
-- expect: rows
SELECT pg_size_pretty(pg_database_size('background_agents'));

-- Archive old data (keep 30 days)
-- expect: rows
DELETE FROM agent_heartbeats WHERE timestamp < NOW() - INTERVAL '30 days';
-- expect: rows
DELETE FROM performance_metrics WHERE timestamp < NOW() - INTERVAL '30 days';
-- expect: rows
DELETE FROM system_events WHERE timestamp < NOW() - INTERVAL '30 days';

-- # Regular Maintenance Tasks / Monthly
-- outside-transaction
-- Full vacuum (schedule during maintenance window)
VACUUM FULL;

-- Reindex for performance
REINDEX DATABASE background_agents;

-- # Security Configuration / User Management
-- Create dedicated user for agents
-- expect-error: 42710 004_bg_agents_user has made the role, without a password
CREATE USER bg_agents_user WITH PASSWORD 'secure_password_here';
-- instead: lets the role in
ALTER ROLE bg_agents_user LOGIN PASSWORD 'secure_password_here';

-- Grant minimal required permissions
GRANT CONNECT ON DATABASE background_agents TO bg_agents_user;
GRANT USAGE ON SCHEMA public TO bg_agents_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO bg_agents_user;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO bg_agents_user;

-- # Performance Optimization / Query Optimization
-- Enable query plan analysis
-- expect: rows
EXPLAIN (ANALYZE, BUFFERS)
SELECT * FROM agent_heartbeats
WHERE agent_id = 'performance_monitor'
AND timestamp > NOW() - INTERVAL '1 hour';

-- Create materialized views for complex reports
-- expect-error: 42P07 003_health_summary has made it
CREATE MATERIALIZED VIEW agent_health_summary AS
SELECT
    agent_id,
    COUNT(*) as heartbeat_count,
    MAX(timestamp) as last_heartbeat,
    AVG((metrics->>'cpu_usage')::numeric) as avg_cpu
FROM agent_heartbeats
WHERE timestamp > NOW() - INTERVAL '24 hours'
GROUP BY agent_id;
-- instead: brings it up to date
REFRESH MATERIALIZED VIEW agent_health_summary;
-- instead: and this reads it
-- expect: counts
SELECT agent_id, last_heartbeat, avg_cpu, heartbeat_count FROM agent_health_summary;

-- # Common Issues / Connection Pool Exhaustion
-- Check active connections
-- expect: rows
SELECT count(*) FROM pg_stat_activity;

-- Identify long-running connections
SELECT pid, state, query_start, query FROM pg_stat_activity
WHERE state != 'idle' AND query_start < NOW() - INTERVAL '10 minutes';

-- # Common Issues / Performance Degradation
-- Check slow queries
-- needs: pg_stat_statements
-- expect-error: 42703 mean_time is called mean_exec_time since PostgreSQL 13
SELECT query, mean_time, calls
FROM pg_stat_statements
ORDER BY mean_time DESC LIMIT 10;
-- instead: where shared_preload_libraries names pg_stat_statements, as it does not in these tests
-- needs: pg_stat_statements
-- expect-error: 55000 the library is not loaded
SELECT query, mean_exec_time, calls
FROM pg_stat_statements
ORDER BY mean_exec_time DESC LIMIT 10;

-- Check table bloat
-- expect-error: 42703 the column is called relname in pg_stat_user_tables
SELECT schemaname, tablename, n_dead_tup, n_live_tup,
       (n_dead_tup::float / (n_live_tup + n_dead_tup)) * 100 AS dead_percentage
FROM pg_stat_user_tables
WHERE n_dead_tup > 0
ORDER BY dead_percentage DESC;
-- instead: with that name
-- expect: rows
SELECT schemaname, relname, n_dead_tup, n_live_tup,
       (n_dead_tup::float / (n_live_tup + n_dead_tup)) * 100 AS dead_percentage
FROM pg_stat_user_tables
WHERE n_dead_tup > 0
ORDER BY dead_percentage DESC;

-- # Common Issues / Disk Space Issues
-- Check database sizes
-- expect: rows
SELECT datname, pg_size_pretty(pg_database_size(datname))
FROM pg_database
ORDER BY pg_database_size(datname) DESC;

-- Check largest tables
-- expect: rows
SELECT schemaname, tablename, pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename))
FROM pg_tables
ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC LIMIT 10;
