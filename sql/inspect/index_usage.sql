-- title: How often each table is read through an index
-- advice: A large table with a low share lacks an index for some query: pg_stat_statements
--         finds it, EXPLAIN shows its filter. Small tables are rightly read as a whole.
-- columns: percent: scans through an index of all scans since the statistics were reset;
--          seq_tup_read: rows that sequential scans read; rows: estimated
-- sort: seq_tup_read desc
WITH counts AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid) AS root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(s.n_live_tup)::bigint AS rows,
           pg_catalog.sum(s.seq_scan)::bigint AS seq_scan,
           pg_catalog.sum(s.seq_tup_read)::bigint AS seq_tup_read,
           COALESCE(pg_catalog.sum(s.idx_scan), 0)::bigint AS idx_scan
    FROM pg_catalog.pg_stat_all_tables AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
    WHERE c.relkind IN ('r', 'm')
    GROUP BY 1
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.rows,
       s.seq_scan,
       s.seq_tup_read,
       s.idx_scan,
       pg_catalog.round(100.0 * s.idx_scan / (s.idx_scan + s.seq_scan), 1) AS percent
FROM counts AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE s.idx_scan + s.seq_scan > 0
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.seq_tup_read DESC, percent, relation;
