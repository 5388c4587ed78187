-- title: partitions that a purge detached from a table and was kept from dropping
-- $1: the mark at the beginning of the last line of their comments
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS relation
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_description AS d
  ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
WHERE NOT c.relispartition
  AND c.relkind IN ('r', 'p')
  AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND pg_catalog.right(d.description, pg_catalog.length($1)) = $1
ORDER BY c.relname;
