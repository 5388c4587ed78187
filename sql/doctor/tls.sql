-- title: TLS
-- area: security
-- why: without it passwords' proofs and all data cross the network in clear
-- source: https://www.postgresql.org/docs/current/ssl-tcp.html; Background Agents' check-list
SELECT CASE WHEN s.ssl OR s.inside THEN 'ok' ELSE 'critical' END AS status,
       CASE
           WHEN s.ssl THEN 'on, from ' || pg_catalog.current_setting('ssl_min_protocol_version') || ' on'
           WHEN s.inside
               THEN pg_catalog.format('off, no other machine gets in: listen_addresses is %L', s.addresses)
           ELSE pg_catalog.format('off, and listen_addresses is %L', s.addresses)
       END AS value,
       CASE WHEN s.built THEN 'ALTER SYSTEM SET ssl = on; SELECT pg_catalog.pg_reload_conf()' END AS sql,
       CASE
           WHEN s.built
               THEN 'needs a certificate first: ssl_cert_file and ssl_key_file, readable by the server alone'
       END AS caution,
       CASE WHEN NOT s.built THEN 'this server was built without TLS: take one that has it' END AS advice
FROM (
    SELECT pg_catalog.current_setting('ssl')::boolean AS ssl,
           pg_catalog.current_setting('ssl_library') <> '' AS built,
           l.addresses,
           NOT EXISTS (
               SELECT
               FROM pg_catalog.regexp_split_to_table(l.addresses, '\s*,\s*') AS a (address)
               WHERE a.address <> '' AND a.address <> 'localhost' AND a.address <> '::1'
                 AND a.address !~ '^127\.'
           ) AS inside
    FROM (SELECT pg_catalog.current_setting('listen_addresses')) AS l (addresses)
) AS s;
