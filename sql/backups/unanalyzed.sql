-- title: tables and materialized views without statistics for the planner, the largest first
-- Partitioned tables stand for their partitions: ANALYZE of one goes through all of them.
-- Parameter: whether statistics came with the backup. Then only those lack some that had none in
-- the source, and those with extended statistics, which no archive holds.
WITH roots AS (
    SELECT c.oid, c.relkind, n.nspname, c.relname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm')
      AND NOT c.relispartition
      AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
), members AS (
    SELECT r.oid AS root, r.oid AS relation
    FROM roots AS r
    WHERE r.relkind <> 'p'
    UNION ALL
    SELECT r.oid, p.relid
    FROM roots AS r, LATERAL pg_catalog.pg_partition_tree(r.oid) AS p
    WHERE r.relkind = 'p'
), sizes AS (
    SELECT m.root,
           pg_catalog.sum(pg_catalog.pg_table_size(m.relation)) AS bytes,
           pg_catalog.bool_or(
               EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS e WHERE e.stxrelid = m.relation)
               OR pg_catalog.pg_relation_size(m.relation) > 0 AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_stats AS s
                   WHERE s.schemaname = n.nspname AND s.tablename = c.relname)) AS lacking
    FROM members AS m
    JOIN pg_catalog.pg_class AS c ON c.oid = m.relation
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    GROUP BY m.root
)
SELECT pg_catalog.quote_ident(r.nspname) || '.' || pg_catalog.quote_ident(r.relname)
FROM roots AS r
JOIN sizes AS s ON s.root = r.oid
WHERE NOT %s OR s.lacking
ORDER BY s.bytes DESC;
