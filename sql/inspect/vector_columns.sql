-- title: Columns of pgvector's types: dimensions, missing embeddings, indexes
-- advice: Rows without an embedding are not found by similarity. An
--         index needs a declared dimension: ALTER COLUMN … TYPE vector(1536).
-- columns: dimension: as declared; rows: estimated; null_percent: rows without a value, by the
--          last ANALYZE (none: never analysed, or not readable for this role); indexed: by
--          HNSW or IVFFlat
-- sort: rows desc
WITH types AS (
    SELECT t.oid, t.typname
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
       AND d.objid = t.oid
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
       AND d.deptype = 'e'
    JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'vector'
    WHERE t.typname IN ('vector', 'halfvec', 'sparsevec')
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       pg_catalog.quote_ident(a.attname) AS column,
       t.typname AS type,
       CASE WHEN a.atttypmod > 0 THEN a.atttypmod END AS dimension,
       r.rows,
       pg_catalog.round(100 * s.null_frac::numeric, 1) AS null_percent,
       EXISTS (
           -- also by an expression on the column
           SELECT
           FROM pg_catalog.pg_depend AS d
           JOIN pg_catalog.pg_index AS i ON i.indexrelid = d.objid AND i.indisvalid
           JOIN pg_catalog.pg_class AS x ON x.oid = d.objid
           JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname IN ('hnsw', 'ivfflat')
           WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND d.refobjid = c.oid
             AND d.refobjsubid = a.attnum
       ) AS indexed
FROM pg_catalog.pg_attribute AS a
JOIN types AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stats AS s
    ON s.schemaname = n.nspname
   AND s.tablename = c.relname
   AND s.attname = a.attname
   AND s.inherited = (c.relkind = 'p')
CROSS JOIN LATERAL (
    SELECT pg_catalog.sum(m.reltuples)::bigint AS rows
    FROM pg_catalog.pg_class AS m
    WHERE m.relkind IN ('r', 'm')
      AND m.relpages > 0
      AND m.reltuples >= 0
      AND (
          m.oid = c.oid
          OR (m.relispartition AND pg_catalog.pg_partition_root(m.oid) = c.oid)
      )
) AS r
WHERE c.relkind IN ('r', 'm', 'p')
  AND NOT c.relispartition
  AND a.attnum > 0
  AND NOT a.attisdropped
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY r.rows DESC NULLS LAST, relation, a.attnum;
