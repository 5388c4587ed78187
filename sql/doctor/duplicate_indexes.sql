-- title: Indexes that another one makes superfluous
-- area: performance
-- none: none
-- why: every write pays for both
-- source: agentdb inspect duplicate-indexes
WITH duplicates AS (
    -- include: inspect/duplicate_indexes
)
SELECT 'warning' AS status,
       pg_catalog.format(
           '%s, covered by %s, %s', d.index, d.covered_by, pg_catalog.pg_size_pretty(d.size)
       ) AS value,
       pg_catalog.rtrim(d.statement, ';') AS sql,
       'drops an index' AS caution
FROM duplicates AS d
ORDER BY d.size DESC, 2;
