-- title: what decides whether a table can be given partitions, and its calendar
-- $1: names of tables. One row each, in that order.
SELECT wanted.name,
       c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS relation,
       c.relkind::text AS kind,
       c.relispartition AS partition,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       p.partstrat::text AS strategy,
       p.partnatts AS columns,
       a.attname AS column,
       pg_catalog.format_type(a.atttypid, NULL) AS type,
       pg_catalog.current_setting('TimeZone') AS zone
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(wanted.name)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid
-- attnum 0 stands for an expression, and finds no column
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
ORDER BY wanted.place;
