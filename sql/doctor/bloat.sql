-- title: Bloat
-- area: performance
-- none: nothing of some size
-- why: empty space is read, cached and backed up like rows
-- source: agentdb: from 10 MB on, more than half of a table or index; estimated as in agentdb inspect bloat
WITH bloat AS (
    -- include: inspect/bloat
)
SELECT 'warning' AS status,
       pg_catalog.format(
           '%s %s: %s of %s', b.kind, b.relation, pg_catalog.pg_size_pretty(b.bloat),
           pg_catalog.pg_size_pretty(b.size)
       ) AS value,
       pg_catalog.format(
           CASE WHEN b.kind = 'index' THEN 'REINDEX INDEX CONCURRENTLY %s'
                ELSE 'VACUUM (FULL, ANALYZE) %s' END, b.relation
       ) AS sql,
       CASE WHEN b.kind <> 'index'
            THEN 'locks everybody out of the table and needs room for a copy; pg_repack does not lock'
       END AS caution
FROM bloat AS b
WHERE b.bloat >= 10485760
  AND b.percent > 50
UNION ALL
SELECT 'unknown',
       pg_catalog.format(
           'not permitted: needs SELECT on %s table%s', pg_catalog.count(*),
           CASE WHEN pg_catalog.count(*) > 1 THEN 's' END
       ),
       pg_catalog.format('GRANT pg_read_all_data TO %I', current_user), -- server >= 14
       NULL, -- server < 14
       'lets it read every row, too'
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm')
  AND c.relpages >= 1280  -- 10 MB
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
HAVING pg_catalog.count(*) > 0;
