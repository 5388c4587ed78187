-- title: Deadlocks a day since the statistics were reset
-- unit: count
-- warning: 1
-- critical: 10
-- source: each is a transaction that the application lost
-- advice: take locks in one order; the server's log has both statements
-- dig: agentdb inspect database-stats
SELECT (deadlocks / greatest(
           extract(epoch FROM pg_catalog.now() - coalesce(stats_reset, pg_catalog.pg_postmaster_start_time())) / 86400,
           1
       ))::float8 AS value,
       deadlocks || ' since ' || coalesce(stats_reset, pg_catalog.pg_postmaster_start_time())::date AS detail
FROM pg_catalog.pg_stat_database
WHERE datname = pg_catalog.current_database();
