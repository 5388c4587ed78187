-- title: the columns of a table that an import may fill, and those that the server computes
-- The type is without its length, so that a cast cannot cut a value off.
SELECT a.attname AS name,
       pg_catalog.format_type(a.atttypid, -1) AS type,
       a.attgenerated <> '' AS generated
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;
