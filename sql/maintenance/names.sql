-- The relation that a name means, as psql would understand it; NULL if there is none.
SELECT c.oid,
       pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS relation,
       c.relkind::text AS kind
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(%s);
