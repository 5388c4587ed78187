-- title: shared_buffers
-- area: performance
-- why: what does not fit is read from the operating system again and again; too much leaves that no cache
-- source: https://www.postgresql.org/docs/current/runtime-config-resource.html: a quarter of the memory, no more
--         than 40 %; the warning is below 15 % or above 40 %
SELECT CASE
           WHEN :memory IS NULL THEN 'unknown'
           WHEN s.size < 0.15 * :memory OR s.size > 0.4 * :memory THEN 'warning'
           ELSE 'ok'
       END AS status,
       pg_catalog.concat(
           pg_catalog.pg_size_pretty(s.size),
           CASE WHEN :memory IS NULL THEN '; the memory of the server cannot be read from here'
                ELSE ' of ' || pg_catalog.pg_size_pretty(:memory) || ' memory' END
       ) AS value,
       $$ALTER SYSTEM SET shared_buffers = '$$ || :memory / 4 / 1048576 || $$MB'$$ AS sql,
       'takes a restart' AS caution,
       CASE WHEN :memory IS NULL THEN '--memory SIZE says how much it has' END AS advice
FROM (
    SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))
) AS s (size);
