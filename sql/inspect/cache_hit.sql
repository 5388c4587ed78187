-- title: How much is read from shared buffers, by table and in the whole database
-- advice: Below 99 % on what queries read all day, raise shared_buffers, add memory, or read
--         less (agentdb inspect seq-scans). Blocks that miss may still come from the operating
--         system's cache.
-- columns: blks_hit, blks_read: blocks since the statistics were reset; percent: blks_hit of
--          both; kind: database, table, toast or indexes (those of the table)
-- sort: blks_read desc
WITH relations AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid) AS root,
           pg_catalog.sum(s.heap_blks_hit) AS heap_hit,
           pg_catalog.sum(s.heap_blks_read) AS heap_read,
           pg_catalog.sum(s.idx_blks_hit) AS idx_hit,
           pg_catalog.sum(s.idx_blks_read) AS idx_read,
           pg_catalog.sum(s.toast_blks_hit + s.tidx_blks_hit) AS toast_hit,
           pg_catalog.sum(s.toast_blks_read + s.tidx_blks_read) AS toast_read
    FROM pg_catalog.pg_statio_all_tables AS s
    GROUP BY 1
),
blocks AS (
    SELECT 'database' AS kind,
           pg_catalog.quote_ident(d.datname) AS relation,
           d.blks_hit,
           d.blks_read
    FROM pg_catalog.pg_stat_database AS d
    WHERE d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT k.kind,
           pg_catalog.format('%I.%I', n.nspname, c.relname),
           k.hit::bigint,
           k.read::bigint
    FROM relations AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.root
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        VALUES ('table', r.heap_hit, r.heap_read),
               ('indexes', r.idx_hit, r.idx_read),
               ('toast', r.toast_hit, r.toast_read)
    ) AS k (kind, hit, read)
    WHERE k.hit + k.read > 0
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
)
SELECT b.kind,
       b.relation,
       b.blks_hit,
       b.blks_read,
       pg_catalog.round(100.0 * b.blks_hit / NULLIF(b.blks_hit + b.blks_read, 0), 2) AS percent
FROM blocks AS b
ORDER BY b.kind <> 'database', b.blks_read DESC, b.blks_hit DESC, b.relation, b.kind;
