-- title: Roles whose password is kept as md5
-- area: security
-- none: none
-- needs: a superuser, who alone reads pg_authid
-- why: an md5 hash is as good as the password: whoever reads it logs in with it
-- source: https://www.postgresql.org/docs/current/auth-password.html
SELECT 'warning' AS status,
       pg_catalog.quote_ident(a.rolname) AS value,
       NULL AS sql,
       NULL AS caution,
       pg_catalog.format(
           'in psql, with password_encryption scram-sha-256: \password %s', pg_catalog.quote_ident(a.rolname)
       ) AS advice
FROM pg_catalog.pg_authid AS a
WHERE a.rolcanlogin
  AND a.rolpassword LIKE 'md5%'
ORDER BY a.rolname;
