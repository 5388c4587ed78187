-- title: where a table is: its database and its name
SELECT d.datname AS database, d.oid AS database_oid, n.nspname AS schema, c.relname AS table
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
WHERE c.oid = :oid;
