-- title: the columns that tell the rows of a table apart: its primary key, or else a unique index
-- Only what ON CONFLICT can use: neither partial nor deferrable nor on an expression, and
-- without NULLs, of which there may be many.
SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place) AS columns
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[])
    WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = :oid AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary
HAVING pg_catalog.bool_and(a.attnotnull)
ORDER BY i.indisprimary DESC, i.indexrelid
LIMIT 1;
