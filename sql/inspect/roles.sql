-- title: Roles: what each may do, until when, and which roles it is a member of
-- advice: Applications need neither superuser nor bypassrls: ALTER ROLE name NOSUPERUSER. REVOKE
--         role FROM name takes back what a membership gives.
-- columns: connections, connection_limit: count; member_of: * with admin option
-- sort: superuser desc
SELECT r.rolname AS role,
       r.rolsuper AS superuser,
       r.rolcanlogin AS login,
       pg_catalog.concat_ws(', ',
           CASE WHEN r.rolcreaterole THEN 'createrole' END,
           CASE WHEN r.rolcreatedb THEN 'createdb' END,
           CASE WHEN r.rolreplication THEN 'replication' END,
           CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
           CASE WHEN NOT r.rolinherit THEN 'noinherit' END) AS attributes,
       (SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_stat_activity AS a
        WHERE a.usesysid = r.oid) AS connections,
       nullif(r.rolconnlimit, -1) AS connection_limit,
       CASE WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN r.rolvaliduntil END AS valid_until,
       coalesce(r.rolvaliduntil < pg_catalog.now(), false) AS password_expired,
       ARRAY(SELECT g.rolname::text
                    || CASE WHEN pg_catalog.bool_or(m.admin_option) THEN '*' ELSE '' END
             FROM pg_catalog.pg_auth_members AS m
             JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid
             WHERE m.member = r.oid
             GROUP BY g.rolname
             ORDER BY g.rolname) AS member_of
FROM pg_catalog.pg_roles AS r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolsuper DESC,
         r.rolcreaterole OR r.rolreplication OR r.rolbypassrls OR r.rolcreatedb DESC,
         r.rolcanlogin DESC,
         r.rolname;
