-- title: work_mem for every session at once
-- area: performance
-- why: each sort or hash of each session takes that much, and when the memory is used up the kernel kills the server
-- source: https://www.postgresql.org/docs/current/runtime-config-resource.html: work_mem × max_connections beside
--         shared_buffers, one sort a session
SELECT CASE
           WHEN :memory IS NULL THEN 'unknown'
           WHEN s.work * s.sessions > :memory - s.shared THEN 'warning'
           ELSE 'ok'
       END AS status,
       pg_catalog.concat(
           pg_catalog.pg_size_pretty(s.work), ' × ', s.sessions, ' connections is ',
           pg_catalog.pg_size_pretty(s.work * s.sessions),
           CASE WHEN :memory IS NULL THEN '; the memory of the server cannot be read from here'
                ELSE pg_catalog.format(
                    ', of %s memory beside shared_buffers',
                    pg_catalog.pg_size_pretty(greatest(:memory - s.shared, 0))
                ) END
       ) AS value,
       CASE
           WHEN :memory IS NOT NULL
               THEN pg_catalog.format(
                   'ALTER SYSTEM SET work_mem = %L; SELECT pg_catalog.pg_reload_conf()',
                   greatest(64, (:memory - s.shared) / s.sessions / 1024) || 'kB'
               )
       END AS sql,
       NULL AS caution,
       CASE WHEN :memory IS NULL THEN '--memory SIZE says how much it has'
            ELSE 'or lower max_connections, with a pooler in between' END AS advice
FROM (
    SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) AS work,
           pg_catalog.current_setting('max_connections')::bigint AS sessions,
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) AS shared
) AS s;
