-- title: the relations that are there before a file is rehearsed, and the files they are kept in
DELETE FROM agentdb_rehearsal.known;
DELETE FROM agentdb_rehearsal.held;
INSERT INTO agentdb_rehearsal.known
SELECT c.oid, n.nspname || '.' || c.relname, c.relkind, c.relfilenode, i.indrelid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c', 'i', 'I')
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'agentdb_rehearsal')
  AND c.oid <> ALL (%(own)s::oid[])
  AND (i.indrelid IS NULL OR i.indrelid <> ALL (%(own)s::oid[]));
