-- title: Tables by size, with their indexes and TOAST
-- advice: DELETE, or drop partitions of, what is past its use; space that dead rows left shows in agentdb inspect
--         bloat, indexes that nobody reads in agentdb inspect unused-indexes.
-- columns: total_size, table_size (without TOAST), indexes_size, toast_size: bytes;
--          percent: of the database; rows: estimated by the last VACUUM or ANALYZE;
--          partitions: how many a partitioned table's row sums up
-- sort: total_size desc
WITH relations AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid) AS root,
           c.relkind,
           CASE WHEN c.relkind <> 'p' AND c.relpages > 0 THEN c.reltuples END AS rows,
           pg_catalog.pg_table_size(c.oid) AS table_size,
           pg_catalog.pg_indexes_size(c.oid) AS indexes_size,
           CASE WHEN c.reltoastrelid = 0 THEN 0
                ELSE pg_catalog.pg_total_relation_size(c.reltoastrelid)
           END AS toast_size
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind IN ('r', 'm', 'p')
),
sizes AS (
    SELECT r.root,
           pg_catalog.count(*) FILTER (WHERE r.relkind <> 'p') AS partitions,
           pg_catalog.sum(r.rows) FILTER (WHERE r.rows >= 0)::bigint AS rows,
           pg_catalog.sum(r.table_size + r.indexes_size)::bigint AS total_size,
           pg_catalog.sum(r.table_size - r.toast_size)::bigint AS table_size,
           pg_catalog.sum(r.indexes_size)::bigint AS indexes_size,
           pg_catalog.sum(r.toast_size)::bigint AS toast_size
    FROM relations AS r
    GROUP BY r.root
),
whole AS (
    SELECT CASE
               WHEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CONNECT')
               THEN pg_catalog.pg_database_size(pg_catalog.current_database())
           END AS size
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.rows,
       s.total_size,
       s.table_size,
       s.indexes_size,
       s.toast_size,
       pg_catalog.round(100.0 * s.total_size / NULLIF(w.size, 0), 1) AS percent
FROM sizes AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN whole AS w
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.total_size DESC NULLS LAST, relation;
