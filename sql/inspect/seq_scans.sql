-- title: Large tables that are often read from end to end
-- advice: pg_stat_statements finds the query, EXPLAIN its filter: CREATE INDEX CONCURRENTLY
--         on the filtered columns. Backups (pg_dump) and index builds count as scans as well.
-- columns: size: bytes, without indexes and TOAST; rows_per_scan: rows that one scan read on
--          average; seq_scan, idx_scan: scans since the statistics were reset; listed from
--          1 MB, 10 scans and 1000 rows a scan on
-- sort: seq_tup_read desc
WITH counts AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid) AS root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(pg_catalog.pg_relation_size(s.relid))::bigint AS size,
           pg_catalog.sum(s.n_live_tup)::bigint AS rows,
           pg_catalog.sum(s.seq_scan)::bigint AS seq_scan,
           pg_catalog.max(s.last_seq_scan) AS last_seq_scan,  -- server >= 16
           pg_catalog.sum(s.seq_tup_read)::bigint AS seq_tup_read,
           COALESCE(pg_catalog.sum(s.idx_scan), 0)::bigint AS idx_scan
    FROM pg_catalog.pg_stat_all_tables AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
    WHERE c.relkind IN ('r', 'm')
    GROUP BY 1
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.size,
       s.rows,
       s.seq_scan,
       s.seq_tup_read,
       s.seq_tup_read / s.seq_scan AS rows_per_scan,
       s.last_seq_scan,  -- server >= 16
       s.idx_scan
FROM counts AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE s.size >= 1024 * 1024
  AND s.seq_scan >= 10
  AND s.seq_tup_read >= 1000 * s.seq_scan
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.seq_tup_read DESC, relation;
