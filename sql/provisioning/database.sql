-- The database of a setup, if it exists: owner, encoding, and what its access list says.
--
-- $database: its name. `granted` are pairs of grantee (empty for PUBLIC) and privilege.
SELECT pg_catalog.pg_get_userbyid(d.datdba)::text AS owner,
       pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
       ARRAY(
           SELECT pg_catalog.concat(r.rolname, ' ', a.privilege_type)
           FROM pg_catalog.aclexplode(
               coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))
           ) AS a
           LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
       ) AS granted
FROM pg_catalog.pg_database AS d
WHERE d.datname = %(database)s;
