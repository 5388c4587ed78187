-- title: Statistics of statements
-- area: monitoring
-- why: which statements take the time is known for the past alone from them; agentdb slow-queries reads them
-- source: https://www.postgresql.org/docs/current/pgstatstatements.html
SELECT CASE WHEN s.loaded AND s.installed THEN 'ok' ELSE 'warning' END AS status,
       CASE
           WHEN NOT s.there THEN 'the server has no pg_stat_statements'
           WHEN NOT s.loaded THEN 'pg_stat_statements is not preloaded'
           WHEN NOT s.installed THEN 'pg_stat_statements is loaded, and not created in this database'
           ELSE 'pg_stat_statements is there'
       END AS value,
       CASE WHEN s.loaded AND NOT s.installed THEN 'CREATE EXTENSION pg_stat_statements' END AS sql,
       NULL AS caution,
       CASE WHEN NOT s.loaded OR NOT s.there THEN 'agentdb extensions enable pg_stat_statements' END
           AS advice
FROM (
    SELECT EXISTS (
               SELECT FROM pg_catalog.pg_available_extensions AS a WHERE a.name = 'pg_stat_statements'
           ) AS there,
           -- only a library that was loaded defines it; shared_preload_libraries is hidden from most
           EXISTS (
               SELECT FROM pg_catalog.pg_settings AS s WHERE s.name = 'pg_stat_statements.max'
           ) AS loaded,
           EXISTS (
               SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'pg_stat_statements'
           ) AS installed
) AS s;
