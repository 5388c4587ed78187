-- title: the comment of the database
SELECT pg_catalog.shobj_description(oid, 'pg_database')
FROM pg_catalog.pg_database
WHERE datname = pg_catalog.current_database();
