-- title: the tables that hold the rows of a collection
-- $1: the table's oid; $2: the column of the embeddings. Of a partitioned table all of its
-- partitions, parents before children; of any other the table itself.
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS relation,
       c.relkind::text AS kind,
       t.parentrelid::oid::bigint AS parent,
       pg_catalog.pg_relation_size(c.oid) AS heap_bytes,
       -- As the planner does: the rows of a page, as last seen, times the pages that there are.
       CASE WHEN c.reltuples > 0 AND c.relpages > 0
            THEN pg_catalog.ceil(
                     c.reltuples::numeric / c.relpages
                     * pg_catalog.pg_relation_size(c.oid)
                     / pg_catalog.current_setting('block_size')::numeric
                 )::bigint
       END AS rows,
       s.null_frac,
       s.avg_width AS width,
       COALESCE(pg_catalog.pg_tablespace_location(NULLIF(d.dattablespace, 0)), '') AS database_space
FROM pg_catalog.pg_partition_tree($1::oid) AS t
RIGHT JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_stats AS s
    ON s.schemaname = n.nspname
   AND s.tablename = c.relname
   AND s.attname = $2
   AND NOT s.inherited
WHERE c.oid = $1::oid OR t.relid IS NOT NULL
ORDER BY t.level NULLS FIRST, n.nspname, c.relname;
