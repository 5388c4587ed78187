-- Other databases that a new role may connect to, because PUBLIC may.
--
-- $database: the one of the setup.
SELECT d.datname::text
FROM pg_catalog.pg_database AS d
WHERE d.datallowconn
  AND d.datname <> %(database)s
  AND EXISTS (
      SELECT
      FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a
      WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT'
  )
ORDER BY 1;
