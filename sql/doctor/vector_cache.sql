-- title: HNSW indexes against the cache
-- area: performance
-- none: no HNSW index
-- why: a search jumps through the whole graph; what is not in memory costs a read from the disk a step
-- source: agentdb: a warning beyond shared_buffers, critical beyond effective_cache_size, which counts the operating
--         system's cache, too
WITH indexes AS (
    -- include: inspect/vector_indexes
)
SELECT CASE
           WHEN i.size > s.cached THEN 'critical'
           WHEN i.size > s.shared THEN 'warning'
           ELSE 'ok'
       END AS status,
       pg_catalog.format(
           '%s takes %s; shared_buffers %s, effective_cache_size %s', i.index,
           pg_catalog.pg_size_pretty(i.size), pg_catalog.pg_size_pretty(s.shared),
           pg_catalog.pg_size_pretty(s.cached)
       ) AS value,
       pg_catalog.format(
           'ALTER SYSTEM SET shared_buffers = %L', i.size * 5 / 4 / 1048576 + 1 || 'MB'
       ) AS sql,
       'takes a restart, and that much memory' AS caution,
       'or make the index smaller: halfvec, binary quantization, or a partial index' AS advice
FROM indexes AS i
CROSS JOIN (
    SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('effective_cache_size'))
) AS s (shared, cached)
WHERE i.method = 'hnsw'
ORDER BY i.size DESC;
