-- title: what a database holds that a restore could collide with
-- Neither system objects nor members of extensions count. One row a kind: kind, count.
WITH namespaces AS (
    SELECT oid, nspname
    FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), members AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), objects AS (
    SELECT CASE WHEN relkind IN ('r', 'p', 'f') THEN 'table'
                WHEN relkind IN ('v', 'm') THEN 'view'
                WHEN relkind = 'S' THEN 'sequence' END AS kind,
           'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid
    FROM pg_catalog.pg_class
    WHERE relnamespace IN (SELECT oid FROM namespaces) AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    UNION ALL
    SELECT 'function', 'pg_catalog.pg_proc'::pg_catalog.regclass, oid
    FROM pg_catalog.pg_proc
    WHERE pronamespace IN (SELECT oid FROM namespaces)
    UNION ALL
    SELECT 'type', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_type AS t
    WHERE typnamespace IN (SELECT oid FROM namespaces)
      AND typrelid = 0 AND typcategory <> 'A'
      -- The multirange of a range is not one of its own.
      AND typtype IN ('b', 'd', 'e', 'r')
    UNION ALL
    SELECT 'schema', 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid
    FROM namespaces
    WHERE nspname <> 'public'
)
SELECT kind, pg_catalog.count(*)::int
FROM objects AS o
WHERE NOT EXISTS (SELECT FROM members AS m WHERE m.classid = o.classid AND m.objid = o.oid)
GROUP BY kind
ORDER BY pg_catalog.array_position(ARRAY['table', 'view', 'sequence', 'function', 'type', 'schema'],
                                   kind);
