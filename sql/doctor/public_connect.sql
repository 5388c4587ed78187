-- title: Whether everybody may connect to this database
-- area: security
-- none: no: only roles with a grant
-- why: every role of the server gets in, and sees the names of all tables
-- source: https://www.postgresql.org/docs/current/ddl-priv.html; what agentdb setup does
SELECT 'warning' AS status,
       pg_catalog.format('PUBLIC has %s', pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)) AS value,
       pg_catalog.format('REVOKE ALL PRIVILEGES ON DATABASE %I FROM PUBLIC', d.datname) AS sql,
       pg_catalog.format(
           'shuts out roles without a grant of their own: first GRANT CONNECT ON DATABASE %I to each',
           d.datname
       ) AS caution
FROM pg_catalog.pg_database AS d
CROSS JOIN LATERAL pg_catalog.aclexplode(
    coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))
) AS a
WHERE d.datname = pg_catalog.current_database()
  AND a.grantee = 0
GROUP BY d.datname;
