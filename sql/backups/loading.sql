-- title: how many rows each COPY of this database has read or written so far
SELECT n.nspname || ' ' || c.relname, p.tuples_processed
FROM pg_catalog.pg_stat_progress_copy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.datname = pg_catalog.current_database();
