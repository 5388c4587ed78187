-- title: the user's tables with their columns and types, for finding time series
SELECT n.nspname AS schema,
       c.relname AS relation,
       (
           SELECT pg_catalog.jsonb_object_agg(x.attname, pg_catalog.format_type(x.atttypid, NULL))
           FROM pg_catalog.pg_attribute AS x
           WHERE x.attrelid = c.oid AND x.attnum > 0 AND NOT x.attisdropped
       ) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY 1, 2;
