-- title: Tables whose TOAST is larger than their rows
-- advice: Long values lie there: SELECT only the columns you need, delete old rows,
--         and try ALTER TABLE … ALTER COLUMN … SET COMPRESSION lz4 (PostgreSQL 14).
--         Embeddings of more than 2 kB get there too; SET STORAGE PLAIN keeps them in the row.
-- columns: toast_size, table_size (without TOAST): bytes; ratio: TOAST to table;
--          toastable: the columns that may be stored there; partitions: how many are summed up
-- sort: toast_size desc
WITH relations AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid) AS root,
           pg_catalog.pg_relation_size(c.oid) AS table_size,
           pg_catalog.pg_relation_size(c.reltoastrelid) AS toast_size
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind IN ('r', 'm')
      AND c.reltoastrelid <> 0
),
sizes AS (
    SELECT r.root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(r.table_size)::bigint AS table_size,
           pg_catalog.sum(r.toast_size)::bigint AS toast_size
    FROM relations AS r
    GROUP BY r.root
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.toast_size,
       s.table_size,
       pg_catalog.round(s.toast_size::numeric / NULLIF(s.table_size, 0), 1) AS ratio,
       (
           SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid
             AND a.attnum > 0
             AND NOT a.attisdropped
             AND a.attstorage IN ('x', 'e')
       ) AS toastable
FROM sizes AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE s.toast_size > s.table_size
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.toast_size DESC, relation;
