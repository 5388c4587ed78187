-- title: foreign keys that refer to a table: what happens to their rows when its rows go
-- $1: the oids of the tables. A foreign key of a partition stands for the one of its parent.
SELECT k.confrelid::bigint AS oid,
       k.conname AS name,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS quoted,
       n.nspname || '.' || c.relname AS child,
       k.conrelid::bigint AS child_oid,
       CASE k.confdeltype
           WHEN 'c' THEN 'cascade'
           WHEN 'n' THEN 'set null'
           WHEN 'd' THEN 'set default'
           WHEN 'r' THEN 'restrict'
           ELSE 'no action'
       END AS on_delete,
       ARRAY(
           SELECT a.attname::text
           FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
           ORDER BY u.place
       ) AS columns,
       ARRAY(
           SELECT a.attname::text
           FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
           ORDER BY u.place
       ) AS referenced,
       EXISTS (
           SELECT FROM pg_catalog.pg_index AS x
           WHERE x.indrelid = k.conrelid
             AND x.indpred IS NULL
             AND (x.indisvalid OR c.relkind = 'p')
             -- A lookup by all columns of the key is served by any index that begins with one of them.
             AND x.indkey[0] = ANY (k.conkey)
       ) AS indexed,
       k.conrelid = k.confrelid AS to_itself
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f'
  AND k.conparentid = 0
  AND k.confrelid = ANY ($1::bigint[]::oid[])
ORDER BY 1, 4, 2;
