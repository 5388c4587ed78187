-- title: what has the name of an index that is about to be built
-- own: whether it is an index of that table.
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(%(name)s) AS qualified,
       c.oid IS NOT NULL AS found,
       i.indexrelid IS NOT NULL AS own,
       coalesce(i.indisvalid, false) AS valid,
       pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = t.relnamespace AND c.relname = %(name)s::pg_catalog.name
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid AND i.indrelid = t.oid
WHERE t.oid = pg_catalog.to_regclass(%(table)s);
