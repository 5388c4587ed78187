-- title: Tables that vacuum has left behind
-- area: performance
-- none: none
-- why: dead rows and old statistics make each query slower, and rows that are never frozen stop the server
-- source: agentdb: twice autovacuum's own threshold, and over 10,000 dead or 50,000 changed rows; critical where
--         autovacuum_freeze_max_age is passed
WITH tables AS (
    -- include: inspect/vacuum_status
)
SELECT CASE WHEN t.needs_freeze THEN 'critical' ELSE 'warning' END AS status,
       pg_catalog.concat(
           t.relation, ': ',
           pg_catalog.concat_ws(
               ', ',
               CASE WHEN t.needs_freeze THEN t.relfrozenxid_age || ' transactions old' END,
               CASE WHEN t.dead THEN t.n_dead_tup || ' dead rows' END,
               CASE WHEN t.stale THEN t.n_mod_since_analyze || ' rows changed since its statistics' END
           )
       ) AS value,
       pg_catalog.format(
           CASE WHEN t.needs_freeze THEN 'VACUUM (FREEZE, ANALYZE) %s' ELSE 'VACUUM (ANALYZE) %s' END,
           t.relation
       ) AS sql
FROM (
    SELECT t.*,
           t.n_dead_tup > greatest(10000, 2 * t.vacuum_threshold) AS dead,
           t.n_mod_since_analyze > greatest(50000, 2 * t.analyze_threshold) AS stale
    FROM tables AS t
) AS t
WHERE t.needs_freeze OR t.dead OR t.stale
ORDER BY t.needs_freeze DESC, t.n_dead_tup DESC;
