-- title: random_page_cost
-- area: performance
-- why: 4 is a spinning disk's: with it the planner reads whole tables where an index would do
-- source: https://www.postgresql.org/docs/current/runtime-config-query.html: 1.1 for storage that finds a page as
--         fast as the next one
SELECT CASE WHEN s.value::float8 >= 4 THEN 'warning' ELSE 'ok' END AS status,
       s.value,
       'ALTER SYSTEM SET random_page_cost = 1.1; SELECT pg_catalog.pg_reload_conf()' AS sql,
       NULL AS caution,
       'on spinning disks leave it: --skip random-page-cost' AS advice
FROM (SELECT pg_catalog.current_setting('random_page_cost')) AS s (value);
