-- Every table whose rows pg_dump takes, and partitioned ones, and whether this role may read it.
-- Tables that belong to an extension come with it, and temporary ones are not dumped.
--
-- Without the sizes: for them pg_table_size would wait for locks on tables that nobody asked for.
SELECT c.oid::bigint,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind = 'p' AS partitioned,
       c.relpersistence = 'u' AS unlogged,
       pg_catalog.pg_table_is_visible(c.oid) AS visible,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
       -- pg_dump refuses to dump a part of the rows
       pg_catalog.row_security_active(c.oid) AS filtered
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.objid = c.oid
        AND d.deptype = 'e'
  )
ORDER BY n.nspname, c.relname;
