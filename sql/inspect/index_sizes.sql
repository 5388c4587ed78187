-- title: Indexes by size, with how often each is read
-- advice: A large index that is never scanned may be superfluous: agentdb inspect
--         unused-indexes. One far larger than its entries need is bloated: agentdb inspect bloat.
-- columns: size: bytes; percent: of the size of its table without TOAST; idx_scan: scans since
--          the statistics were reset; partitions: how many indexes a partitioned one sums up
-- sort: size desc
WITH indexes AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(i.indexrelid), i.indexrelid) AS root,
           c.relkind,
           pg_catalog.pg_relation_size(i.indexrelid) AS size,
           pg_catalog.pg_relation_size(i.indrelid) AS table_size,
           pg_catalog.pg_stat_get_numscans(i.indexrelid) AS idx_scan
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
),
sizes AS (
    SELECT x.root,
           pg_catalog.count(*) FILTER (WHERE x.relkind = 'i') AS partitions,
           pg_catalog.sum(x.size)::bigint AS size,
           pg_catalog.sum(x.table_size)::bigint AS table_size,
           pg_catalog.sum(x.idx_scan)::bigint AS idx_scan
    FROM indexes AS x
    GROUP BY x.root
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS index,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       a.amname AS method,
       CASE WHEN c.relkind = 'I' THEN s.partitions END AS partitions,
       s.size,
       pg_catalog.round(100.0 * s.size / NULLIF(s.table_size, 0), 1) AS percent,
       s.idx_scan
FROM sizes AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.size DESC NULLS LAST, index;
