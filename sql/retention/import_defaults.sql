-- title: the default partitions of a table, which take rows whose own partition is gone
SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text AS name
FROM pg_catalog.pg_partition_tree(:oid) AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.relid
WHERE p.isleaf AND pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
ORDER BY 2;
