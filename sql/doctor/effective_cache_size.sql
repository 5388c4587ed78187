-- title: effective_cache_size
-- area: performance
-- why: the planner takes an index for slow if it believes that little of it is cached
-- source: agentdb: half to all of the memory; https://www.postgresql.org/docs/current/runtime-config-query.html counts
--         shared_buffers and the operating system's cache together
SELECT CASE
           WHEN :memory IS NULL THEN 'unknown'
           WHEN s.size < 0.5 * :memory OR s.size > :memory THEN 'warning'
           ELSE 'ok'
       END AS status,
       pg_catalog.concat(
           pg_catalog.pg_size_pretty(s.size),
           CASE WHEN :memory IS NULL THEN '; the memory of the server cannot be read from here'
                ELSE ' of ' || pg_catalog.pg_size_pretty(:memory) || ' memory' END
       ) AS value,
       $$ALTER SYSTEM SET effective_cache_size = '$$ || :memory / 4 * 3 / 1048576
           || $$MB'; SELECT pg_catalog.pg_reload_conf()$$ AS sql,
       NULL AS caution,
       CASE WHEN :memory IS NULL THEN '--memory SIZE says how much it has' END AS advice
FROM (
    SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('effective_cache_size'))
) AS s (size);
