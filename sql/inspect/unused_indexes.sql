-- title: Indexes that are never or hardly ever scanned
-- advice: Every write pays for them. Replicas count their own scans: look there too, and at
--         stats_reset, before you run the statement. HNSW and IVFFlat indexes are built for
--         ORDER BY … LIMIT: unused ones often have an operator class that no query asks for.
-- columns: size: bytes; idx_scan: scans since stats_reset (none: since the database was made);
--          writes: rows written to the index since then, estimated; listed if never scanned
--          or written more than a thousand times a scan; unique indexes and those of
--          constraints or a replica identity are left out
-- sort: size desc
WITH indexes AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(i.indexrelid), i.indexrelid) AS root,
           c.relkind,
           pg_catalog.pg_relation_size(i.indexrelid) AS size,
           -- the views that show these join and sum up all relations first
           pg_catalog.pg_stat_get_numscans(i.indexrelid) AS idx_scan,
           pg_catalog.pg_stat_get_lastscan(i.indexrelid) AS last_idx_scan,  -- server >= 16
           pg_catalog.pg_stat_get_tuples_inserted(i.indrelid)
           + pg_catalog.pg_stat_get_tuples_updated(i.indrelid)
           - pg_catalog.pg_stat_get_tuples_hot_updated(i.indrelid) AS writes
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relkind = 'i'
      -- large: AND (c.relpages >= 128 OR pg_catalog.pg_stat_get_live_tuples(i.indrelid) > 10000)
),
counts AS (
    SELECT x.root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(x.size)::bigint AS size,
           COALESCE(pg_catalog.sum(x.idx_scan), 0)::bigint AS idx_scan,
           pg_catalog.max(x.last_idx_scan) AS last_idx_scan,  -- server >= 16
           COALESCE(pg_catalog.sum(x.writes), 0)::bigint AS writes
    FROM indexes AS x
    GROUP BY x.root
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS index,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       a.amname AS method,
       CASE WHEN c.relkind = 'I' THEN s.partitions END AS partitions,
       s.size,
       s.idx_scan,
       s.last_idx_scan,  -- server >= 16
       s.writes,
       d.stats_reset,
       pg_catalog.format(
           CASE WHEN c.relkind = 'I' THEN 'DROP INDEX %I.%I;'
                ELSE 'DROP INDEX CONCURRENTLY %I.%I;'
           END, n.nspname, c.relname
       ) AS statement
FROM counts AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_stat_database AS d ON d.datname = pg_catalog.current_database()
WHERE (s.idx_scan = 0 OR s.writes > 1000 * s.idx_scan)
  AND i.indisvalid
  AND NOT i.indisunique
  AND NOT i.indisprimary
  AND NOT i.indisexclusion
  AND NOT i.indisreplident
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = c.oid)
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.size DESC NULLS LAST, index;
