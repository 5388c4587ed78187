-- title: Lines of pg_hba.conf that let sessions in without TLS
-- area: security
-- none: none
-- needs: a superuser, or GRANT SELECT ON pg_hba_file_rules and EXECUTE ON FUNCTION pg_hba_file_rules()
-- why: TLS that the server only offers is not used by whom nobody told to, nor against an attacker in between
-- source: https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
SELECT 'warning' AS status,
       pg_catalog.format(
           'line %s: %s %s %s %s', r.line_number, r.type, pg_catalog.array_to_string(r.database, ','),
           pg_catalog.array_to_string(r.user_name, ','), r.address
       ) AS value,
       NULL AS sql,
       NULL AS caution,
       pg_catalog.format(
           'write hostssl instead of %s in line %s of pg_hba.conf, then SELECT pg_reload_conf()',
           r.type, r.line_number
       ) AS advice
FROM pg_catalog.pg_hba_file_rules AS r
WHERE r.error IS NULL
  AND r.type IN ('host', 'hostnossl')
  AND r.auth_method <> 'reject'
  AND r.address NOT IN ('::1', 'localhost', 'samehost')
  AND r.address !~ '^127\.'
  -- where nothing from outside can arrive, lines for it let nobody in
  AND EXISTS (
      SELECT
      FROM pg_catalog.regexp_split_to_table(
          pg_catalog.current_setting('listen_addresses'), '\s*,\s*'
      ) AS a (address)
      WHERE a.address <> '' AND a.address <> 'localhost' AND a.address <> '::1'
        AND a.address !~ '^127\.'
  )
ORDER BY r.line_number;
