-- How far VACUUM, ANALYZE, VACUUM FULL and builds of indexes have come on some tables.
--
-- waits_for: the session that a CONCURRENTLY waits for at the moment.
SELECT v.relid,
       v.phase,
       CASE WHEN v.phase IN ('vacuuming indexes', 'cleaning up indexes') -- server >= 17
            THEN v.indexes_processed -- server >= 17
            WHEN v.phase = 'vacuuming heap' THEN v.heap_blks_vacuumed -- server >= 17
            ELSE v.heap_blks_scanned END AS done, -- server >= 17
       CASE WHEN v.phase IN ('vacuuming indexes', 'cleaning up indexes') -- server >= 17
            THEN v.indexes_total ELSE v.heap_blks_total END AS total, -- server >= 17
       CASE WHEN v.phase = 'vacuuming heap' THEN v.heap_blks_vacuumed -- server < 17
            ELSE v.heap_blks_scanned END AS done, -- server < 17
       CASE WHEN v.phase IN ('scanning heap', 'vacuuming heap') -- server < 17
            THEN v.heap_blks_total END AS total, -- server < 17
       NULL::int AS waits_for
FROM pg_catalog.pg_stat_progress_vacuum AS v
WHERE v.relid = ANY (%(relations)s)
UNION ALL
SELECT z.relid,
       'analyzing, ' || z.phase,
       CASE WHEN z.child_tables_total > 0 THEN z.child_tables_done ELSE z.sample_blks_scanned END,
       CASE WHEN z.child_tables_total > 0 THEN z.child_tables_total ELSE z.sample_blks_total END,
       NULL
FROM pg_catalog.pg_stat_progress_analyze AS z
WHERE z.relid = ANY (%(relations)s)
UNION ALL
SELECT u.relid, u.phase, u.heap_blks_scanned, u.heap_blks_total, NULL
FROM pg_catalog.pg_stat_progress_cluster AS u
WHERE u.relid = ANY (%(relations)s)
UNION ALL
SELECT x.relid,
       x.phase,
       CASE WHEN x.phase LIKE 'waiting %%' THEN x.lockers_done
            WHEN x.tuples_total > 0 THEN x.tuples_done
            ELSE x.blocks_done END,
       CASE WHEN x.phase LIKE 'waiting %%' THEN x.lockers_total
            WHEN x.tuples_total > 0 THEN x.tuples_total
            ELSE x.blocks_total END,
       NULLIF(x.current_locker_pid, 0)::int
FROM pg_catalog.pg_stat_progress_create_index AS x
WHERE x.relid = ANY (%(relations)s)
  AND x.command LIKE %(builds)s;
