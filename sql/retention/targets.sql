-- title: what the server knows of the tables that have a retention policy
-- $1: their names; $2: their time columns, in the same order. One row each, in that order.
SELECT wanted.name,
       c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS relation,
       c.relkind::text AS kind,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       current_user::text AS role,
       pg_catalog.format_type(a.atttypid, NULL) AS type,
       a.attnotnull AS not_null,
       c.relrowsecurity AND c.relforcerowsecurity AS row_security,
       c.relispartition AS partition,
       p.partstrat::text AS strategy,
       -- Whole partitions may go only where the time alone decides in which one a row is.
       p.partnatts = 1 AND p.partattrs[0] = a.attnum AS by_time,
       EXISTS (
           SELECT FROM pg_catalog.pg_inherits AS i
           JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid
           WHERE i.inhparent = c.oid AND NOT child.relispartition
       ) AS inherited,
       EXISTS (
           SELECT FROM pg_catalog.pg_index AS x
           WHERE x.indrelid = c.oid
             AND x.indkey[0] = a.attnum
             AND x.indpred IS NULL
             AND (x.indisvalid OR c.relkind = 'p')
             AND (SELECT amname FROM pg_catalog.pg_class AS ic JOIN pg_catalog.pg_am ON pg_am.oid = ic.relam
                  WHERE ic.oid = x.indexrelid) = 'btree'
       ) AS indexed,
       ARRAY(
           SELECT t.tgname::text FROM pg_catalog.pg_trigger AS t
           WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 8 <> 0
           ORDER BY t.tgname
       ) AS triggers,
       ARRAY(
           SELECT x.attname::text FROM pg_catalog.pg_attribute AS x
           WHERE x.attrelid = c.oid AND x.attnum > 0 AND NOT x.attisdropped
           ORDER BY x.attnum
       ) AS columns
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (name, time_column, place)
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(wanted.name)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a
       ON a.attrelid = c.oid AND a.attname = wanted.time_column AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid
ORDER BY wanted.place;
