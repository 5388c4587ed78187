-- title: Applications that work as a superuser
-- area: security
-- none: none at this moment
-- needs: pg_monitor
-- why: a flaw in such an application, or a statement that a model wrote, is one in the whole server
-- source: https://www.postgresql.org/docs/current/role-attributes.html; programs of administrators (psql, pg_dump,
--         agentdb …) are left out
SELECT 'warning' AS status,
       pg_catalog.format(
           '%s of %s as %I', pg_catalog.count(*),
           coalesce(nullif(a.application_name, ''), 'a program without application_name'), r.rolname
       ) AS value,
       NULL AS sql,
       NULL AS caution,
       'agentdb setup makes a role for the application: let it log in as that one' AS advice
FROM pg_catalog.pg_stat_activity AS a
JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
WHERE r.rolsuper
  AND a.backend_type = 'client backend'
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.application_name !~* '^(agentdb|psql|pg_|pgadmin|dbeaver|datagrip|pgbackrest|barman)'
GROUP BY a.application_name, r.rolname
ORDER BY 2;
