-- title: Statistics of each database: commits, rollbacks, cache hits, conflicts, deadlocks
-- advice: Deadlocks: take locks in the same order everywhere (log_lock_waits = on). Many rollbacks:
--         see the server log for errors. Any checksum_failures: the disk is failing, restore
--         elsewhere.
-- columns: rollback_percent: % of transactions; hit_percent: % of blocks found in shared_buffers;
--          temp_bytes: bytes; others: count since stats_reset
-- sort: commits desc
SELECT s.datname AS database,
       s.numbackends AS connections,
       s.xact_commit AS commits,
       s.xact_rollback AS rollbacks,
       pg_catalog.round(
           100.0 * s.xact_rollback / nullif(s.xact_commit + s.xact_rollback, 0), 1)
           AS rollback_percent,
       s.blks_read,
       pg_catalog.round(100.0 * s.blks_hit / nullif(s.blks_hit + s.blks_read, 0), 1)
           AS hit_percent,
       s.deadlocks,
       s.conflicts,
       s.temp_files,
       s.temp_bytes,
       s.checksum_failures,
       s.sessions_abandoned + s.sessions_fatal + s.sessions_killed AS lost_sessions, -- server >= 14
       NULL::bigint AS lost_sessions, -- server < 14
       s.stats_reset
FROM pg_catalog.pg_stat_database AS s
WHERE s.datname IS NOT NULL
ORDER BY s.xact_commit DESC, s.datname;
