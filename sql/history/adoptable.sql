-- title: the tables in which other tools keep what they have applied, with their columns
SELECT n.nspname::text AS schema,
       c.relname::text AS relation,
       pg_catalog.array_agg(
           a.attname::text || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
           ORDER BY a.attnum
       ) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relname = ANY(%(names)s)
  AND c.relkind IN ('r', 'p', 'v')
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
GROUP BY n.nspname, c.relname
ORDER BY n.nspname, c.relname;
