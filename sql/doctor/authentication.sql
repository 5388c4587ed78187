-- title: Lines of pg_hba.conf with trust, password or md5
-- area: security
-- none: none
-- needs: a superuser, or GRANT SELECT ON pg_hba_file_rules and EXECUTE ON FUNCTION pg_hba_file_rules()
-- why: trust asks for no password, password sends it in clear, md5 accepts hashes that can be replayed and
--      that a graphics card tries by the billion
-- source: https://www.postgresql.org/docs/current/auth-methods.html; md5 is deprecated since 18
WITH lines AS (
    SELECT r.*,
           r.type = 'local' OR r.address IN ('::1', 'localhost', 'samehost') OR r.address ~ '^127\.'
               AS inside
    FROM pg_catalog.pg_hba_file_rules AS r
)
SELECT CASE
           WHEN l.error IS NOT NULL THEN 'critical'
           WHEN l.auth_method = 'trust' AND NOT l.inside THEN 'critical'
           WHEN l.auth_method = 'password' AND NOT l.inside AND l.type <> 'hostssl' THEN 'critical'
           ELSE 'warning'
       END AS status,
       CASE
           WHEN l.error IS NOT NULL THEN pg_catalog.format('line %s: %s', l.line_number, l.error)
           ELSE pg_catalog.format(
               'line %s: %s', l.line_number,
               pg_catalog.concat_ws(
                   ' ', l.type, pg_catalog.array_to_string(l.database, ','),
                   pg_catalog.array_to_string(l.user_name, ','), l.address, l.auth_method
               )
           )
       END AS value,
       NULL AS sql,
       NULL AS caution,
       CASE
           WHEN l.error IS NOT NULL
               THEN pg_catalog.format('correct line %s of pg_hba.conf, then SELECT pg_reload_conf()', l.line_number)
           ELSE pg_catalog.format(
               'write scram-sha-256%s instead of %s in line %s of pg_hba.conf, then SELECT pg_reload_conf()',
               CASE WHEN l.type = 'local' THEN ' or peer' ELSE '' END, l.auth_method, l.line_number
           )
       END AS advice
FROM lines AS l
WHERE l.error IS NOT NULL
   OR l.auth_method IN ('trust', 'password', 'md5')
ORDER BY l.line_number;
