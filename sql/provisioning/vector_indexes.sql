-- The vector indexes of a database, by access method.
--
-- $methods: access methods, such as ivfflat and hnsw. Partitioned indexes hold nothing themselves.
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS name,
       m.amname::text AS method
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
WHERE c.relkind = 'i' AND m.amname = ANY(%(methods)s)
ORDER BY 1;
