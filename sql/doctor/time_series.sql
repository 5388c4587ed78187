-- title: Large time series without partitions
-- area: performance
-- none: none over its size
-- why: a day of rows is then deleted one by one and leaves bloat, where a partition is dropped in a moment
-- source: agentdb: over 10 GB, or over the memory if that is less
--         (https://www.postgresql.org/docs/current/ddl-partitioning.html); a series is a table with a time that is never
--         NULL, such as created_at, and less than a tenth as many updates as inserts
WITH series AS (
    SELECT DISTINCT ON (c.oid)
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
           a.attname,
           pg_catalog.pg_table_size(c.oid) AS size
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r'
      AND NOT c.relispartition
      -- others are not opened, which takes time where there are thousands
      AND (c.relpages >= 128 OR pg_catalog.pg_stat_get_live_tuples(c.oid) > 10000)
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
      AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
      AND (a.attnotnull OR a.atthasdef)
      AND a.attname ~ '(^|_)(at|on|time|timestamp|ts|date|day|created|when)$'
      AND pg_catalog.pg_stat_get_tuples_updated(c.oid) * 10 <= pg_catalog.pg_stat_get_tuples_inserted(c.oid)
    ORDER BY c.oid, a.attnum
)
SELECT 'warning' AS status,
       pg_catalog.format('%s, by %I, %s', s.relation, s.attname, pg_catalog.pg_size_pretty(s.size)) AS value,
       NULL AS sql,
       NULL AS caution,
       pg_catalog.format(
           'rename it, make a table PARTITION BY RANGE (%I) in its place and move the rows; agentdb retention partitions then keeps its partitions',
           s.attname
       ) AS advice
FROM series AS s
WHERE s.size > least(10737418240, :memory)
ORDER BY s.size DESC;
