-- title: which relations a rehearsed file has written anew: they are kept in another file now
-- An index has a row only if its table has none.
WITH changed AS (
    SELECT k.relation, k.name, k.kind, k.of_table
    FROM agentdb_rehearsal.known AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.relation
    WHERE c.relfilenode <> k.file
      AND k.kind IN ('r', 'm', 'i')
)
SELECT c.name
FROM changed AS c
WHERE NOT EXISTS (SELECT FROM changed AS t WHERE t.relation = c.of_table)
ORDER BY c.name;
