-- What VACUUM is judged by: a table's dead rows, ages and size, its TOAST table included.
SELECT pg_catalog.pg_stat_get_dead_tuples(c.oid)
       + COALESCE(pg_catalog.pg_stat_get_dead_tuples(t.oid), 0) AS dead,
       GREATEST(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid))::bigint AS xid_age,
       GREATEST(pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid))::bigint
           AS multixact_age,
       pg_catalog.pg_total_relation_size(c.oid) AS size
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
WHERE c.oid = %s;
