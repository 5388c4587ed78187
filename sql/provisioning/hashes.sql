-- How the passwords of roles are kept: 'scram', 'md5' or NULL for none. For superusers.
--
-- $names: the roles' names.
SELECT a.rolname AS name,
       CASE
           WHEN a.rolpassword LIKE 'SCRAM-SHA-256$%%' THEN 'scram'
           WHEN a.rolpassword IS NOT NULL THEN 'md5'
       END AS kept
FROM pg_catalog.pg_authid AS a
WHERE a.rolname = ANY(%(names)s);
