-- title: Passwords that expire
-- area: security
-- none: none within 30 days
-- why: from that moment on the role cannot log in by password, and what runs as it stops
-- source: agentdb: a warning from 30 days before; critical from a week before
SELECT CASE WHEN r.rolvaliduntil < pg_catalog.now() + interval '7 days' THEN 'critical'
            ELSE 'warning' END AS status,
       pg_catalog.format(
           'that of %I %s at %s', r.rolname,
           CASE WHEN r.rolvaliduntil < pg_catalog.now() THEN 'expired' ELSE 'expires' END,
           r.rolvaliduntil::timestamptz(0)
       ) AS value,
       pg_catalog.format(
           'ALTER ROLE %I VALID UNTIL %L', r.rolname, (:today + 365)::text
       ) AS sql,
       pg_catalog.format('first a new password, in psql: \password %I', r.rolname) AS caution
FROM pg_catalog.pg_roles AS r
WHERE r.rolcanlogin
  AND r.rolvaliduntil < pg_catalog.now() + interval '30 days'
ORDER BY r.rolvaliduntil, r.rolname;
