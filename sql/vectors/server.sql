-- title: what a build of an index may use on this server. Sizes in bytes.
SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) AS memory,
       pg_catalog.current_setting('max_parallel_maintenance_workers')::int AS workers,
       pg_catalog.current_setting('max_parallel_workers')::int AS most_workers,
       pg_catalog.current_setting('max_worker_processes')::int AS processes,
       pg_catalog.current_setting('dynamic_shared_memory_type') AS shared_memory,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) AS shared_buffers;
