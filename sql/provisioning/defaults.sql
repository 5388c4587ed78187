-- The default privileges that the owner of a setup has declared, for all schemas.
--
-- $owner: its name. One row a kind of object ('r', 'S', 'n'), grantee and privilege.
SELECT d.defaclobjtype::text AS kind,
       r.rolname::text AS role,
       a.privilege_type::text AS privilege
FROM pg_catalog.pg_default_acl AS d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a
JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE d.defaclnamespace = 0
  AND pg_catalog.pg_get_userbyid(d.defaclrole) = %(owner)s;
