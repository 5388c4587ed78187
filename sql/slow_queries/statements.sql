-- All counters of pg_stat_statements, without texts. {schema} is the extension's schema;
-- a line that ends in "has" or "lacks" and a column belongs to views with or without it.
-- Times in milliseconds, amounts in bytes. Rows of other roles have no queryid where
-- this role may not see them. {ours} begins the texts of this command's own queries.
SELECT s.dbid::bigint AS database_oid,
       s.userid::bigint AS role_oid,
       s.toplevel, -- has toplevel
       true AS toplevel, -- lacks toplevel
       s.queryid AS query_id,
       (SELECT d.datname FROM pg_catalog.pg_database AS d WHERE d.oid = s.dbid) AS database,
       (SELECT r.rolname FROM pg_catalog.pg_roles AS r WHERE r.oid = s.userid) AS role,
       extract(epoch FROM s.stats_since)::double precision AS since, -- has stats_since
       NULL::double precision AS since, -- lacks stats_since
       s.min_exec_time AS min_ms, -- has min_exec_time
       s.max_exec_time AS max_ms, -- has min_exec_time
       s.min_time AS min_ms, -- lacks min_exec_time
       s.max_time AS max_ms, -- lacks min_exec_time
       s.calls,
       s.total_exec_time AS total_ms, -- has total_exec_time
       s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2) AS squares, -- has total_exec_time
       s.total_time AS total_ms, -- lacks total_exec_time
       s.calls * (s.stddev_time ^ 2 + s.mean_time ^ 2) AS squares, -- lacks total_exec_time
       s.plans, -- has plans
       s.total_plan_time AS plan_ms, -- has plans
       NULL::bigint AS plans, -- lacks plans
       NULL::double precision AS plan_ms, -- lacks plans
       s.rows,
       s.shared_blks_hit * b.size AS hit_bytes,
       s.shared_blks_read * b.size AS read_bytes,
       (s.shared_blks_read + s.shared_blks_written
        + s.local_blks_read + s.local_blks_written) * b.size AS io_bytes,
       s.shared_blk_read_time + s.shared_blk_write_time -- has shared_blk_read_time
       + s.local_blk_read_time + s.local_blk_write_time AS io_ms, -- has shared_blk_read_time
       s.blk_read_time + s.blk_write_time AS io_ms, -- lacks shared_blk_read_time
       (s.temp_blks_read + s.temp_blks_written) * b.size AS temp_bytes,
       s.wal_bytes::double precision AS wal_bytes -- has wal_bytes
       NULL::double precision AS wal_bytes -- lacks wal_bytes
FROM {schema}.pg_stat_statements AS s
CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint AS size) AS b
WHERE NOT pg_catalog.starts_with(s.query, '{ours}') OR s.query IS NULL;
