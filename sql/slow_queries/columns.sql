-- The columns of the view pg_stat_statements: they follow the extension's version in this
-- database, which may be older than the server's.
SELECT a.attname
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = 'pg_stat_statements' AND a.attnum > 0
  AND NOT a.attisdropped;
