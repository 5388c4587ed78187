-- title: Tables of several tenants without row security
-- area: security
-- none: none
-- why: one forgotten WHERE shows a tenant the rows of another
-- source: agentdb: a column such as tenant_id, org_id, workspace_id, account_id or customer_id; user_id and owner_id
--         count once some table of the database has row security; https://www.postgresql.org/docs/current/ddl-rowsecurity.html
WITH tables AS (
    SELECT c.oid, c.relrowsecurity, n.nspname, c.relname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
), columns (name, of_users) AS (
    SELECT (s.stem || u.separator || e.ending)::name, s.stem IN ('user', 'owner')
    FROM pg_catalog.unnest(ARRAY['tenant', 'org', 'organization', 'organisation', 'workspace',
                                 'account', 'customer', 'user', 'owner']) AS s (stem)
    CROSS JOIN pg_catalog.unnest(ARRAY['', '_']) AS u (separator)
    CROSS JOIN pg_catalog.unnest(ARRAY['id', 'uuid', 'key']) AS e (ending)
), found AS (
    SELECT DISTINCT ON (t.oid)
           t.nspname,
           t.relname,
           a.attname,
           pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
    FROM tables AS t
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN columns AS c ON c.name = a.attname
    WHERE NOT t.relrowsecurity
      AND (NOT c.of_users OR EXISTS (SELECT FROM tables AS secured WHERE secured.relrowsecurity))
    ORDER BY t.oid, c.of_users, a.attnum
)
SELECT 'warning' AS status,
       pg_catalog.format('%I.%I, by its column %I', f.nspname, f.relname, f.attname) AS value,
       pg_catalog.format(
           'CREATE POLICY %I ON %I.%I USING (%I = pg_catalog.current_setting(%L)::%s); ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY',
           'own_' || f.attname, f.nspname, f.relname, f.attname, 'app.' || f.attname, f.type,
           f.nspname, f.relname
       ) AS sql,
       pg_catalog.format(
           'whoever does not set app.%s sees nothing from then on: adapt the policy to the application',
           f.attname
       ) AS caution
FROM found AS f
ORDER BY f.nspname, f.relname;
