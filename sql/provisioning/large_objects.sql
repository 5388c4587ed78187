-- The functions that make large objects, which every role may call unless told otherwise.
--
-- $owner: the owner of a setup.
SELECT p.oid::pg_catalog.regprocedure::text AS name,
       EXISTS (
           SELECT
           FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)))
               AS a
           WHERE a.grantee = 0
       ) AS for_public,
       pg_catalog.has_function_privilege(%(owner)s, p.oid, 'EXECUTE') AS for_owner,
       pg_catalog.pg_has_role(p.proowner, 'USAGE') AS manageable
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
  AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea')
ORDER BY 1;
