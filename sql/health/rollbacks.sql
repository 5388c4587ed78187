-- title: Share of transactions that were rolled back
-- unit: share
-- warning: 0.1
-- critical: 0.5
-- source: one in ten is a sign of an application in trouble
-- advice: look for errors in the application's and the server's log
-- dig: agentdb inspect database-stats
SELECT CASE WHEN xact_commit + xact_rollback < 1000 THEN 0
            ELSE xact_rollback::float8 / (xact_commit + xact_rollback) END AS value,
       xact_rollback || ' of ' || xact_commit + xact_rollback || ' transactions' AS detail
FROM pg_catalog.pg_stat_database
WHERE datname = pg_catalog.current_database();
