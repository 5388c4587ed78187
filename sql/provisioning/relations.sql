-- Tables, views and sequences of the owner of a setup, and what its other roles may do with each.
--
-- $owner, $users: the roles. `granted` are pairs of role and privilege, separated by a tab.
-- What belongs to an extension is left out.
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind = 'S' AS is_sequence,
       EXISTS (
           SELECT
           FROM pg_catalog.pg_depend AS d
           WHERE d.classid = 'pg_catalog.pg_class'::regclass
             AND d.objid = c.oid
             AND c.relkind = 'S'
             AND d.deptype = 'i'
       ) AS is_identity,
       ARRAY(
           SELECT pg_catalog.concat(r.rolname, E'\t', a.privilege_type)
           FROM pg_catalog.aclexplode(c.relacl) AS a
           JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
           WHERE r.rolname = ANY(%(users)s::text[])
       ) AS granted
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND pg_catalog.pg_get_userbyid(c.relowner) = %(owner)s
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = c.oid
        AND d.deptype = 'e'
  )
ORDER BY 1, 2;
