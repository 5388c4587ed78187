-- title: the columns of a table that hold data of their own, in their order
-- Generated columns are left out: an import computes them again.
SELECT a.attname AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
            THEN t.typname::pg_catalog.text ELSE '' END AS builtin
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum;
