-- title: tables with pgvector columns, and how a search would use them
-- One row a vector column: its dimensions (NULL if not fixed), the operator
-- class of an index on it, the table's single-column primary key, and the
-- names and types of its other columns in their order.
SELECT n.nspname AS schema,
       c.relname AS relation,
       a.attname AS embedding,
       CASE WHEN a.atttypmod > 0 THEN a.atttypmod END AS dimensions,
       (
           SELECT o.opcname
           FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
           JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod
           WHERE i.indrelid = c.oid
             AND i.indkey[0] = a.attnum
             AND m.amname IN ('hnsw', 'ivfflat')
           LIMIT 1
       ) AS operator_class,
       (
           SELECT k.attname
           FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_attribute AS k ON k.attrelid = i.indrelid AND k.attnum = i.indkey[0]
           WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1
       ) AS key,
       (
           SELECT pg_catalog.jsonb_object_agg(x.attname, pg_catalog.format_type(x.atttypid, NULL))
           FROM pg_catalog.pg_attribute AS x
           WHERE x.attrelid = c.oid AND x.attnum > 0 AND NOT x.attisdropped
       ) AS columns,
       ARRAY(
           SELECT DISTINCT f.attname::text
           FROM pg_catalog.pg_constraint AS r
           JOIN pg_catalog.pg_attribute AS f ON f.attrelid = r.conrelid AND f.attnum = r.conkey[1]
           WHERE r.conrelid = c.oid AND r.contype = 'f'
           ORDER BY 1
       ) AS references
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE t.typname IN ('vector', 'halfvec')
  AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY 1, 2, 3;
