-- title: Indexes of pgvector, their parameters and whether they suit their table
-- advice: Parameters that do not suit: build it anew with CREATE INDEX CONCURRENTLY, drop the old one.
--         Distance and operator of a query must be those of the index, or it is not used.
-- columns: size: bytes; shared_buffers_percent: size of shared_buffers; rows: estimated, of the
--          table; recommended_lists: rows / 1000 up to a million rows, their square root above,
--          of each partition; n_dead_tup: rows that VACUUM has yet to take out of the index
-- sort: size desc
WITH leaves AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(i.indexrelid), i.indexrelid) AS root,
           c.relkind,
           pg_catalog.pg_relation_size(i.indexrelid) AS size,
           CASE WHEN t.relkind <> 'p' AND t.relpages > 0 AND t.reltuples >= 0
                THEN t.reltuples::numeric
           END AS rows,
           pg_catalog.pg_stat_get_dead_tuples(i.indrelid) AS n_dead_tup,
           pg_catalog.pg_stat_get_numscans(i.indexrelid) AS idx_scan,
           i.indisvalid,
           a.amname,
           (
               SELECT pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'm')
               FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
           )::int AS m,
           (
               SELECT pg_catalog.max(o.option_value)
                      FILTER (WHERE o.option_name = 'ef_construction')
               FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
           )::int AS ef_construction,
           (
               SELECT pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'lists')
               FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
           )::int AS lists
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
    JOIN pg_catalog.pg_am AS a ON a.oid = c.relam AND a.amname IN ('hnsw', 'ivfflat')
),
sums AS (
    SELECT l.root,
           l.amname,
           pg_catalog.count(*) FILTER (WHERE l.relkind = 'i') AS partitions,
           pg_catalog.sum(l.size)::bigint AS size,
           pg_catalog.sum(l.rows)::bigint AS rows,
           pg_catalog.sum(l.n_dead_tup)::bigint AS n_dead_tup,
           pg_catalog.sum(l.idx_scan)::bigint AS idx_scan,
           pg_catalog.bool_and(l.indisvalid) AS valid,
           -- pgvector's defaults where the index sets nothing
           CASE WHEN l.amname = 'hnsw'
                THEN COALESCE(pg_catalog.max(l.m), 16) END AS m,
           CASE WHEN l.amname = 'hnsw'
                THEN COALESCE(pg_catalog.max(l.ef_construction), 64) END AS ef_construction,
           CASE WHEN l.amname = 'ivfflat'
                THEN COALESCE(pg_catalog.max(l.lists), 100) END AS lists
    FROM leaves AS l
    GROUP BY l.root, l.amname
),
described AS (
    SELECT s.*,
           pg_catalog.round(s.rows::numeric / NULLIF(s.partitions, 0) / s.lists) AS rows_per_list,
           CASE WHEN s.lists IS NOT NULL THEN
               CASE WHEN s.rows <= 1000000 * s.partitions
                    THEN GREATEST(pg_catalog.ceil(s.rows::numeric / NULLIF(s.partitions, 0) / 1000), 1)
                    ELSE pg_catalog.round(pg_catalog.sqrt(s.rows::numeric / NULLIF(s.partitions, 0)))
               END
           END::int AS recommended_lists,
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) AS shared_buffers
    FROM sums AS s
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS index,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) AS column,
       d.amname AS method,
       o.opcname AS operator_class,
       CASE
           WHEN o.opcname LIKE '%\_l2\_ops' THEN 'L2 (<->)'
           WHEN o.opcname LIKE '%\_ip\_ops' THEN 'inner product (<#>)'
           WHEN o.opcname LIKE '%\_cosine\_ops' THEN 'cosine (<=>)'
           WHEN o.opcname LIKE '%\_l1\_ops' THEN 'L1 (<+>)'
           WHEN o.opcname LIKE '%\_hamming\_ops' THEN 'Hamming (<~>)'
           WHEN o.opcname LIKE '%\_jaccard\_ops' THEN 'Jaccard (<%>)'
       END AS distance,
       CASE WHEN c.relkind = 'I' THEN d.partitions END AS partitions,
       d.m,
       d.ef_construction,
       d.lists,
       d.recommended_lists,
       d.rows_per_list,
       d.rows,
       d.n_dead_tup,
       d.size,
       pg_catalog.round(100.0 * d.size / d.shared_buffers, 1) AS shared_buffers_percent,
       d.idx_scan,
       d.valid,
       NULLIF(
           pg_catalog.concat_ws(
               '; ',
               CASE WHEN NOT d.valid
                    THEN 'not used by any query: agentdb inspect invalid-indexes' END,
               CASE WHEN d.lists > 2 * d.recommended_lists OR 2 * d.lists < d.recommended_lists
                    THEN pg_catalog.format('rebuild it with lists = %s', d.recommended_lists) END,
               CASE WHEN d.size > d.shared_buffers THEN 'larger than shared_buffers' END,
               CASE WHEN d.n_dead_tup * 5 > d.rows
                    THEN 'many dead rows: VACUUM, then REINDEX INDEX CONCURRENTLY' END
           ), ''
       ) AS problem
FROM described AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index AS i ON i.indexrelid = d.root
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY d.valid, d.size DESC, index;
