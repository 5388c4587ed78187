-- title: the partitions of a table that is partitioned by range of one time column
-- $1: its oid. Bounds as text, NULL where open (MINVALUE, MAXVALUE) and for the default partition.
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS relation,
       c.relkind::text AS kind,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' AS is_default,
       (pg_catalog.regexp_match(b.bounds, $$FROM \('([^']+)'\)$$))[1] AS lower,
       (pg_catalog.regexp_match(b.bounds, $$TO \('([^']+)'\)$$))[1] AS upper,
       i.inhdetachpending AS detach_pending, -- server >= 14
       false AS detach_pending, -- server < 14
       -- The server's running count, which a crash resets, or else the planner's.
       coalesce(nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0))::bigint AS rows,
       coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') AS comment,
       pg_catalog.pg_total_relation_size(c.oid) AS bytes
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bounds) AS b
WHERE i.inhparent = $1::bigint::oid
ORDER BY 5, 6 NULLS FIRST, 3;
