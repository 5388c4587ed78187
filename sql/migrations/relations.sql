-- title: the relations that pending migrations name: how large they are, and what hangs on them
-- One row a name of :names that is a relation. Of a partitioned table, or one with heirs:
-- all of them together. rows is NULL for what was never analysed. The sizes (:size) are asked
-- of the file system, which takes a lock; or they are the planner's.
WITH RECURSIVE wanted AS (
    SELECT name, pg_catalog.to_regclass(name) AS oid
    FROM pg_catalog.unnest(%(names)s::text[]) AS name
), tree AS (
    SELECT oid AS root, oid FROM wanted WHERE oid IS NOT NULL
    UNION
    SELECT tree.root, i.inhrelid
    FROM tree
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.oid
), sizes AS (
    SELECT tree.root,
           CASE WHEN pg_catalog.bool_and(c.reltuples >= 0) FILTER (WHERE c.relkind <> 'p')
                THEN pg_catalog.sum(c.reltuples) FILTER (WHERE c.relkind <> 'p')
           END AS rows,
           pg_catalog.sum(:size) AS bytes,
           pg_catalog.count(*) - 1 AS children
    FROM tree
    JOIN pg_catalog.pg_class AS c ON c.oid = tree.oid
    GROUP BY tree.root
), foreign_keys AS (
    SELECT k.conrelid, k.confrelid, k.conname,
           pg_catalog.format('%%I.%%I', n1.nspname, c1.relname) AS referencing,
           pg_catalog.format('%%I.%%I', n2.nspname, c2.relname) AS referenced
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c1 ON c1.oid = k.conrelid
    JOIN pg_catalog.pg_namespace AS n1 ON n1.oid = c1.relnamespace
    JOIN pg_catalog.pg_class AS c2 ON c2.oid = k.confrelid
    JOIN pg_catalog.pg_namespace AS n2 ON n2.oid = c2.relnamespace
    WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
)
SELECT w.name AS wanted,
       c.oid::bigint AS oid,
       n.nspname || '.' || c.relname AS name,
       c.relkind::text AS kind,
       s.rows::bigint AS rows,
       s.bytes::bigint AS size,
       s.children::int AS children,
       (
           SELECT pg_catalog.format('%%I.%%I', tn.nspname, t.relname)
           FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
           JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
           WHERE i.indexrelid = c.oid
       ) AS table_of_index,
       ARRAY(SELECT DISTINCT f.referenced FROM foreign_keys AS f WHERE f.conrelid = c.oid)
           AS referenced,
       ARRAY(SELECT DISTINCT f.referencing FROM foreign_keys AS f WHERE f.confrelid = c.oid)
           AS referencing,
       (
           SELECT coalesce(pg_catalog.jsonb_object_agg(f.conname, f.referenced), '{}')
           FROM foreign_keys AS f
           WHERE f.conrelid = c.oid
       ) AS foreign_keys,
       (
           SELECT coalesce(
               pg_catalog.jsonb_object_agg(
                   a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
               ), '{}'
           )
           FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       ) AS columns,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS t
           WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
       ) AS triggers
FROM wanted AS w
JOIN pg_catalog.pg_class AS c ON c.oid = w.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN sizes AS s ON s.root = c.oid;
