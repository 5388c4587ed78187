-- The schemas of a database, and who may do what in them.
--
-- $owner: the owner of a setup; $users: its other roles. `manageable`: whether we may grant on
-- it. `usable_by`: those of $users with USAGE, from whatever source.
SELECT n.nspname::text AS name,
       pg_catalog.pg_get_userbyid(n.nspowner) = %(owner)s AS owned,
       pg_catalog.pg_has_role(n.nspowner, 'USAGE') AS manageable,
       pg_catalog.has_schema_privilege(%(owner)s, n.oid, 'CREATE')
           AND pg_catalog.has_schema_privilege(%(owner)s, n.oid, 'USAGE') AS owner_creates,
       EXISTS (
           SELECT
           FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)))
               AS a
           WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'
       ) AS public_creates,
       ARRAY(
           SELECT u.name::text
           FROM pg_catalog.unnest(%(users)s::text[]) AS u (name)
           JOIN pg_catalog.pg_roles AS r ON r.rolname = u.name
           WHERE pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
       ) AS usable_by
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname;
