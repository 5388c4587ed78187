-- title: the vector indexes of a table, on one of its columns
-- $1: the table's oid; $2: the column. Smallest name first; of a partitioned table its own
-- (partitioned) indexes, with the sizes of all their parts.
SELECT i.indexrelid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS relation,
       m.amname::text AS method,
       o.opcname::text AS operator_class,
       pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) AS expression,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) AS predicate,
       i.indisvalid AS valid,
       c.reloptions::text[] AS options,
       COALESCE(
           (
               -- no row for an index without parts
               SELECT pg_catalog.sum(pg_catalog.pg_relation_size(p.relid))
               FROM pg_catalog.pg_partition_tree(i.indexrelid) AS p
           ),
           pg_catalog.pg_relation_size(i.indexrelid)
       )::bigint AS bytes
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname IN ('hnsw', 'ivfflat')
JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
WHERE i.indrelid = $1
  AND (
      i.indkey[0] = (
          SELECT a.attnum FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = i.indrelid AND a.attname = $2
      )
      -- or an expression on it
      OR (
          i.indkey[0] = 0
          AND EXISTS (
              SELECT
              FROM pg_catalog.pg_depend AS d
              JOIN pg_catalog.pg_attribute AS a
                  ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.objid = i.indexrelid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refobjid = i.indrelid
                AND a.attname = $2
          )
      )
  )
ORDER BY c.relname;
