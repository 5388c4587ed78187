-- title: Databases whose sorts and hashes did not fit into work_mem and went to disk
-- advice: SET work_mem higher for the role or session with the large sorts, or index what they sort
--         by; log_temp_files = 0 logs their statements, pg_stat_statements counts them.
-- columns: temp_bytes, average, bytes_per_day, work_mem: bytes; temp_files: count
-- sort: temp_bytes desc
SELECT s.datname AS database,
       s.temp_files,
       s.temp_bytes,
       s.temp_bytes / s.temp_files AS average,
       pg_catalog.round((s.temp_bytes / nullif(
           extract(epoch FROM pg_catalog.clock_timestamp() - s.stats_reset), 0)
           * 86400)::numeric) AS bytes_per_day,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) AS work_mem,
       s.stats_reset
FROM pg_catalog.pg_stat_database AS s
WHERE s.temp_files > 0
ORDER BY s.temp_bytes DESC, s.datname;
