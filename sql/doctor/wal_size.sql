-- title: Size of the WAL
-- area: infrastructure
-- needs: pg_monitor
-- why: WAL that nothing removes fills the disk, and then the server stops
-- source: agentdb: twice max_wal_size, beside what wal_keep_size asks for; the server itself keeps it near
--         max_wal_size
SELECT CASE WHEN w.size > 2 * w.most + w.kept THEN 'warning' ELSE 'ok' END AS status,
       pg_catalog.format(
           '%s, max_wal_size is %s', pg_catalog.pg_size_pretty(w.size),
           pg_catalog.pg_size_pretty(w.most)
       ) AS value,
       'CHECKPOINT' AS sql,
       NULL AS caution,
       'agentdb inspect replication-slots and agentdb inspect wal show what keeps it' AS advice
FROM (
    SELECT coalesce(pg_catalog.sum(f.size), 0)::bigint AS size,
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size')) AS most,
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_keep_size')) AS kept
    FROM pg_catalog.pg_ls_waldir() AS f
) AS w;
