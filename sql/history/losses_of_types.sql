-- title: the columns that go with types, domains or extensions that are dropped with CASCADE
SELECT n.nspname::text AS schema, c.relname::text AS relation, a.attname::text AS "column"
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_attribute AS a
    ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_class AS c
    ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.oid = ANY(%(types)s::pg_catalog.regtype[]::pg_catalog.oid[])
   OR t.oid IN (
        SELECT d.objid
        FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
          AND e.extname = ANY(%(extensions)s)
    )
ORDER BY n.nspname, c.relname, a.attnum;
