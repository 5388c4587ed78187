-- title: Maintenance in progress: vacuum, analyze, create index, cluster, base backup, copy
-- advice: "waiting for" a phase means old transactions: agentdb inspect idle-in-transaction.
--         agentdb inspect cancel PID ends it; CREATE INDEX CONCURRENTLY then leaves an invalid
--         index to drop.
-- columns: done, total: what unit says, within this phase; percent: % of total; age: interval
-- sort: age desc
-- requires: role pg_monitor
SELECT p.pid,
       d.datname AS database,
       p.operation,
       -- A relation of another database is a mere OID from here.
       coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
                nullif(p.relid, 0)::text) AS relation,
       p.phase,
       p.done,
       p.total,
       p.unit,
       pg_catalog.round(100.0 * p.done / nullif(p.total, 0), 1) AS percent,
       pg_catalog.clock_timestamp() - coalesce(a.query_start, a.xact_start) AS age,
       a.usename AS role
FROM (
    SELECT v.pid, v.datid, 'VACUUM' AS operation, v.relid, v.phase,
           CASE v.phase
               WHEN 'vacuuming indexes' THEN v.indexes_processed -- server >= 17
               WHEN 'cleaning up indexes' THEN v.indexes_processed -- server >= 17
               WHEN 'vacuuming heap' THEN v.heap_blks_vacuumed
               ELSE v.heap_blks_scanned
           END AS done,
           CASE v.phase
               WHEN 'vacuuming indexes' THEN v.indexes_total -- server >= 17
               WHEN 'cleaning up indexes' THEN v.indexes_total -- server >= 17
               WHEN 'vacuuming heap' THEN v.heap_blks_total
               ELSE v.heap_blks_total
           END AS total,
           CASE v.phase
               WHEN 'vacuuming indexes' THEN 'indexes' -- server >= 17
               WHEN 'cleaning up indexes' THEN 'indexes' -- server >= 17
               WHEN 'vacuuming heap' THEN 'blocks'
               ELSE 'blocks'
           END AS unit
    FROM pg_catalog.pg_stat_progress_vacuum AS v
    UNION ALL
    SELECT z.pid, z.datid, 'ANALYZE', z.relid, z.phase,
           CASE WHEN z.phase = 'acquiring inherited sample rows' AND z.child_tables_total > 0
                THEN z.child_tables_done ELSE z.sample_blks_scanned END,
           CASE WHEN z.phase = 'acquiring inherited sample rows' AND z.child_tables_total > 0
                THEN z.child_tables_total ELSE z.sample_blks_total END,
           CASE WHEN z.phase = 'acquiring inherited sample rows' AND z.child_tables_total > 0
                THEN 'partitions' ELSE 'blocks' END
    FROM pg_catalog.pg_stat_progress_analyze AS z
    UNION ALL
    SELECT x.pid, x.datid, x.command, x.relid, x.phase,
           CASE WHEN x.phase LIKE 'waiting %' THEN x.lockers_done
                WHEN x.tuples_total > 0 THEN x.tuples_done
                ELSE x.blocks_done END,
           CASE WHEN x.phase LIKE 'waiting %' THEN x.lockers_total
                WHEN x.tuples_total > 0 THEN x.tuples_total
                ELSE x.blocks_total END,
           CASE WHEN x.phase LIKE 'waiting %' THEN 'sessions'
                WHEN x.tuples_total > 0 THEN 'tuples'
                ELSE 'blocks' END
    FROM pg_catalog.pg_stat_progress_create_index AS x
    UNION ALL
    SELECT u.pid, u.datid, u.command, u.relid, u.phase,
           u.heap_blks_scanned, u.heap_blks_total, 'blocks'
    FROM pg_catalog.pg_stat_progress_cluster AS u
    UNION ALL
    SELECT b.pid, NULL::oid, 'BASE_BACKUP', NULL::oid, b.phase,
           b.backup_streamed, b.backup_total, 'bytes'
    FROM pg_catalog.pg_stat_progress_basebackup AS b
    UNION ALL -- server >= 14
    SELECT y.pid, y.datid, y.command, y.relid, pg_catalog.lower(y.type), -- server >= 14
           CASE WHEN y.bytes_total > 0 THEN y.bytes_processed -- server >= 14
                ELSE y.tuples_processed END, -- server >= 14
           nullif(y.bytes_total, 0), -- server >= 14
           CASE WHEN y.bytes_total > 0 THEN 'bytes' ELSE 'tuples' END -- server >= 14
    FROM pg_catalog.pg_stat_progress_copy AS y -- server >= 14
) AS p
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = p.datid
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid = p.relid AND d.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.pid <> pg_catalog.pg_backend_pid()
ORDER BY age DESC NULLS LAST, p.pid;
