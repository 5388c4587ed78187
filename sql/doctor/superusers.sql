-- title: Superusers that may log in
-- area: security
-- none: the first one alone
-- why: no grant limits a superuser: it reads every database and runs programs on the server
-- source: https://www.postgresql.org/docs/current/role-attributes.html; Background Agents' check-list asks for a
--         role with minimal permissions
SELECT 'warning' AS status,
       pg_catalog.quote_ident(r.rolname) AS value,
       pg_catalog.format('ALTER ROLE %I NOSUPERUSER', r.rolname) AS sql,
       'if it is that of a person who administers this server, leave it' AS caution
FROM pg_catalog.pg_roles AS r
WHERE r.rolsuper
  AND r.rolcanlogin
  AND r.oid <> 10  -- the one that initdb made
  -- those of the platforms themselves
  AND r.rolname NOT IN ('rdsadmin', 'cloudsqladmin', 'azuresu', 'azure_superuser', 'supabase_admin')
ORDER BY r.rolname;
