-- title: Dead rows that wait for VACUUM
-- advice: VACUUM removes them; they stay while an old transaction, a replication slot
--         or a prepared transaction still needs them. agentdb inspect vacuum-status says when
--         autovacuum will come.
-- columns: n_live_tup, n_dead_tup: rows, estimated; percent: dead of all rows;
--          partitions: how many a partitioned table's row sums up
-- sort: n_dead_tup desc
WITH counts AS (
    SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid) AS root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(s.n_live_tup)::bigint AS n_live_tup,
           pg_catalog.sum(s.n_dead_tup)::bigint AS n_dead_tup,
           pg_catalog.max(GREATEST(s.last_vacuum, s.last_autovacuum)) AS last_vacuum
    FROM pg_catalog.pg_stat_all_tables AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
    WHERE c.relkind IN ('r', 'm')
    GROUP BY 1
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.n_live_tup,
       s.n_dead_tup,
       pg_catalog.round(100.0 * s.n_dead_tup / (s.n_live_tup + s.n_dead_tup), 1) AS percent,
       s.last_vacuum
FROM counts AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE s.n_dead_tup > 0
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.n_dead_tup DESC, relation;
