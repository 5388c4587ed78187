-- title: SECURITY DEFINER functions without a search_path of their own
-- area: security
-- none: none
-- why: they run with their owner's rights, and whoever calls them chooses which tables and functions their names mean
-- source: https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
SELECT 'warning' AS status,
       pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
           AS value,
       pg_catalog.format(
           'ALTER ROUTINE %I.%I(%s) SET search_path = pg_catalog, %I, pg_temp', n.nspname, p.proname,
           pg_catalog.pg_get_function_identity_arguments(p.oid), n.nspname
       ) AS sql,
       'add the other schemas whose names its body uses' AS caution
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prosecdef
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
      SELECT FROM pg_catalog.unnest(p.proconfig) AS c (setting) WHERE c.setting LIKE 'search\_path=%'
  )
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  )
ORDER BY n.nspname, p.proname;
