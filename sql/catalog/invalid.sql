-- The invalid indexes of a table. leftover: named as REINDEX CONCURRENTLY names its own.
SELECT i.indexrelid,
       pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS name,
       c.relname ~ '_cc(new|old)[0-9]*$' AS leftover
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = %s
  AND NOT i.indisvalid
ORDER BY name;
