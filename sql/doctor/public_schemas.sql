-- title: Schemas in which everybody may create
-- area: security
-- none: none
-- why: any role puts a function there under the name of one that others call, and they run it
-- source: CVE-2018-1058; https://www.postgresql.org/docs/current/ddl-schemas.html
SELECT 'warning' AS status,
       pg_catalog.quote_ident(n.nspname) AS value,
       pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname) AS sql
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname !~ '^pg_'
  AND EXISTS (
      SELECT
      FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS a
      WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'
  )
ORDER BY n.nspname;
