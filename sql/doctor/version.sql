-- title: Server version and its end of life
-- area: infrastructure
-- why: past its end of life a version gets no more fixes, not even of security holes
-- source: PostgreSQL's versioning policy, https://www.postgresql.org/support/versioning/; the warning
--         comes half a year before
WITH lives (major, ends) AS (
    VALUES (13, date '2025-11-13'), (14, date '2026-11-12'), (15, date '2027-11-11'),
           (16, date '2028-11-09'), (17, date '2029-11-08'), (18, date '2030-11-14')
)
SELECT CASE
           WHEN l.ends IS NULL THEN 'unknown'
           WHEN l.ends < :today THEN 'critical'
           WHEN l.ends < :today + 180 THEN 'warning'
           ELSE 'ok'
       END AS status,
       pg_catalog.concat(
           'PostgreSQL ',
           pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
           CASE
               WHEN l.ends IS NULL THEN ', whose end of life is not known here'
               WHEN l.ends < :today THEN ', without support since ' || l.ends
               ELSE ', supported until ' || l.ends
           END
       ) AS value,
       NULL AS sql,
       NULL AS caution,
       CASE
           WHEN l.ends IS NULL THEN 'see https://www.postgresql.org/support/versioning/'
           ELSE 'move to PostgreSQL 18: pg_upgrade, or agentdb backup create here and agentdb restore there'
       END AS advice
FROM (SELECT pg_catalog.current_setting('server_version_num')::int / 10000) AS s (major)
LEFT JOIN lives AS l ON l.major = s.major;
