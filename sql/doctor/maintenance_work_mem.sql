-- title: maintenance_work_mem for the largest vector index
-- area: performance
-- none: no vector index
-- why: an HNSW graph that does not fit is built on the disk, many times slower: a REINDEX takes hours
-- source: https://github.com/pgvector/pgvector#index-build-time
WITH indexes AS (
    -- include: inspect/vector_indexes
)
SELECT CASE WHEN i.size > s.size THEN 'warning' ELSE 'ok' END AS status,
       pg_catalog.format(
           '%s; %s takes %s', pg_catalog.pg_size_pretty(s.size), i.index,
           pg_catalog.pg_size_pretty(i.size)
       ) AS value,
       pg_catalog.format(
           'ALTER SYSTEM SET maintenance_work_mem = %L; SELECT pg_catalog.pg_reload_conf()',
           i.size * 5 / 4 / 1048576 + 1 || 'MB'
       ) AS sql,
       CASE WHEN i.size * 5 > coalesce(:memory, 17179869184)
            THEN 'that is much memory; autovacuum''s workers take as much each unless autovacuum_work_mem is set'
       END AS caution
FROM indexes AS i
CROSS JOIN (
    SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))
) AS s (size)
ORDER BY i.size DESC
LIMIT 1;
