-- title: Tables that everybody may use
-- area: security
-- none: none
-- why: every role that gets into the database reads or changes them
-- source: https://www.postgresql.org/docs/current/ddl-priv.html
SELECT 'warning' AS status,
       pg_catalog.format(
           '%I.%I: %s', n.nspname, c.relname, pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
       ) AS value,
       pg_catalog.format(
           'REVOKE ALL PRIVILEGES ON %s%I.%I FROM PUBLIC',
           CASE WHEN c.relkind = 'S' THEN 'SEQUENCE ' ELSE '' END, n.nspname, c.relname
       ) AS sql,
       'roles that rely on it need a grant of their own first' AS caution
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND a.grantee = 0
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
GROUP BY n.nspname, c.relname, c.relkind
ORDER BY n.nspname, c.relname;
