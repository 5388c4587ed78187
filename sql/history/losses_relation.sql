-- title: the table that a name leads to, and about how many rows it has
-- A partitioned table has as many as its partitions together.
SELECT n.nspname::text AS schema,
       c.relname::text AS relation,
       (
           SELECT pg_catalog.sum(greatest(p.reltuples, 0))::bigint
           FROM pg_catalog.pg_class AS p
           WHERE p.oid = c.oid
              OR p.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))
       ) AS rows
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(%(name)s)
  AND c.relkind IN ('r', 'p');
