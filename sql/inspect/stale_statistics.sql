-- title: Tables whose planner statistics are missing or out of date
-- advice: Run the statement: plans are as good as these estimates. Autovacuum never analyses a
--         partitioned table itself, only its partitions: run ANALYZE on it after large changes.
-- columns: n_mod_since_analyze: rows inserted, updated or deleted since the last ANALYZE;
--          rows: estimated; percent: the first of the second, listed above 10; stale_partitions:
--          how many of the partitions are listed for; last_analyze: by hand or by autovacuum,
--          none if never since the statistics were reset
-- sort: n_mod_since_analyze desc
WITH tables AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid) AS root,
           GREATEST(s.n_live_tup, 0) AS rows,
           s.n_mod_since_analyze,
           GREATEST(s.last_analyze, s.last_autoanalyze) AS last_analyze,
           -- a table that only ever was empty needs none
           (
               GREATEST(s.last_analyze, s.last_autoanalyze) IS NULL
               AND (s.n_live_tup > 0 OR s.n_mod_since_analyze > 0 OR c.reltuples > 0)
           )
           OR 10 * s.n_mod_since_analyze > s.n_live_tup AS stale
    FROM pg_catalog.pg_stat_all_tables AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
    WHERE c.relkind IN ('r', 'm')
),
sums AS (
    SELECT t.root,
           pg_catalog.count(*) FILTER (WHERE t.stale) AS stale_partitions,
           pg_catalog.sum(t.rows)::bigint AS rows,
           pg_catalog.sum(t.n_mod_since_analyze)::bigint AS n_mod_since_analyze,
           pg_catalog.max(t.last_analyze) AS last_analyze
    FROM tables AS t
    GROUP BY t.root
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.stale_partitions END AS stale_partitions,
       s.rows,
       s.n_mod_since_analyze,
       pg_catalog.round(100.0 * s.n_mod_since_analyze / NULLIF(s.rows, 0), 1) AS percent,
       s.last_analyze,  -- server < 14
       CASE WHEN c.relkind = 'p' THEN GREATEST(p.last_analyze, p.last_autoanalyze) ELSE s.last_analyze END AS last_analyze,  -- server >= 14
       pg_catalog.format('ANALYZE %I.%I;', n.nspname, c.relname) AS statement
FROM sums AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables AS p ON p.relid = c.oid
WHERE (
          s.stale_partitions > 0
          OR (c.relkind = 'p' AND s.rows > 0 AND GREATEST(p.last_analyze, p.last_autoanalyze) IS NULL)  -- server >= 14
      )
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.n_mod_since_analyze DESC, s.rows DESC, relation;
