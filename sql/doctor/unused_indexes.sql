-- title: Indexes that nothing reads
-- area: performance
-- none: none of some size
-- why: every write pays for them, and so does the cache
-- source: agentdb: from 1 MB on, never scanned while their table was read over 100 times
WITH unused AS (
    -- include: inspect/unused_indexes
)
SELECT 'warning' AS status,
       pg_catalog.format(
           '%s, %s, never scanned since %s', u.index, pg_catalog.pg_size_pretty(u.size),
           coalesce(u.stats_reset::timestamptz(0)::text, 'the database was made')
       ) AS value,
       pg_catalog.rtrim(u.statement, ';') AS sql,
       'drops an index: see first that no replica scans it, and no monthly report' AS caution
FROM unused AS u
WHERE u.idx_scan = 0
  AND u.size >= 1048576
  AND (
      SELECT s.seq_scan + coalesce(s.idx_scan, 0) > 100
      FROM pg_catalog.pg_stat_all_tables AS s
      WHERE pg_catalog.format('%I.%I', s.schemaname, s.relname) = u.relation
  )
ORDER BY u.size DESC, 2;
