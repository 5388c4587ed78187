-- shared_preload_libraries: what the server runs with, and what its files say for the next start.
--
-- Only for roles that may read the files. The last line of the files counts.
SELECT s.reset_val AS running,
       s.source::text AS source,
       f.setting AS next,
       pg_catalog.current_setting('data_directory') AS data_directory
FROM pg_catalog.pg_settings AS s
LEFT JOIN LATERAL (
    SELECT x.setting
    FROM pg_catalog.pg_file_settings AS x
    WHERE x.name = s.name
    ORDER BY x.seqno DESC
    LIMIT 1
) AS f ON true
WHERE s.name = 'shared_preload_libraries';
