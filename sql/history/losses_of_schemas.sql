-- title: the tables of schemas, without partitions, whose rows count with their parent's
SELECT n.nspname::text AS schema, c.relname::text AS relation
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%(names)s)
  AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
ORDER BY n.nspname, c.relname;
