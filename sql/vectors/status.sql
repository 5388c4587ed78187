-- title: the rows of a collection, as the server's statistics have them
-- $1: the table's oid; $2: the column of the embeddings. Of a partitioned table all partitions.
SELECT pg_catalog.sum(s.n_live_tup)::bigint AS live,
       pg_catalog.sum(s.n_dead_tup)::bigint AS dead,
       pg_catalog.sum(s.n_mod_since_analyze)::bigint AS changed,
       pg_catalog.min(GREATEST(s.last_analyze, s.last_autoanalyze)) AS analyzed,
       -- NULL where this role may not read the statistics, or there are none
       pg_catalog.sum(p.null_frac::numeric * GREATEST(s.n_live_tup, 1))
           / NULLIF(pg_catalog.sum(GREATEST(s.n_live_tup, 1))
                        FILTER (WHERE p.null_frac IS NOT NULL), 0) AS null_share,
       pg_catalog.sum(pg_catalog.pg_table_size(c.oid))::bigint AS bytes,
       pg_catalog.max(c.reltuples) AS largest
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
LEFT JOIN pg_catalog.pg_stats AS p
    ON p.schemaname = n.nspname
   AND p.tablename = c.relname
   AND p.attname = $2
   AND NOT p.inherited
WHERE c.relkind IN ('r', 'm')
  AND (
      c.oid = $1::oid
      OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid) AS t)
  );
