-- The roles of a setup that exist: what they may do beyond logging in, and whose members they are.
--
-- $names: their names; $owner: the owner's name. `beyond` are attributes, `through` memberships
-- (direct or not) that reach past any grant on a database.
SELECT r.rolname AS name,
       r.rolcanlogin AS login,
       pg_catalog.array_remove(ARRAY[
           CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
           CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
           CASE WHEN r.rolreplication THEN 'REPLICATION' END,
           CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END
       ], NULL) AS beyond,
       ARRAY(
           SELECT m.rolname::text
           FROM pg_catalog.pg_roles AS m
           WHERE m.oid <> r.oid
             AND NOT r.rolsuper
             AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER')
             AND (
                 m.rolsuper
                 OR m.rolname IN (
                     'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                     'pg_read_all_data', 'pg_write_all_data', 'pg_maintain'
                 )
                 OR m.rolname = %(owner)s
             )
           ORDER BY 1
       ) AS through,
       ARRAY(
           SELECT m.rolname::text
           FROM pg_catalog.pg_auth_members AS a
           JOIN pg_catalog.pg_roles AS m ON m.oid = a.roleid
           WHERE a.member = r.oid
           ORDER BY 1
       ) AS member_of,
       pg_catalog.pg_has_role(r.oid, 'USAGE') AS usable,
       pg_catalog.pg_has_role(r.oid, 'MEMBER') AS settable -- server < 16
       pg_catalog.pg_has_role(r.oid, 'SET') AS settable -- server >= 16
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = ANY(%(names)s);
