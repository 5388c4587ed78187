-- title: How new passwords are kept
-- area: security
-- why: an md5 hash is as good as the password: whoever reads it logs in with it
-- source: https://www.postgresql.org/docs/current/auth-password.html
SELECT CASE s.value WHEN 'scram-sha-256' THEN 'ok' ELSE 'warning' END AS status,
       s.value,
       $$ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_catalog.pg_reload_conf()$$ AS sql
FROM (SELECT pg_catalog.current_setting('password_encryption')) AS s (value);
