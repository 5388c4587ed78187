-- title: Checkpoints for want of WAL
-- area: infrastructure
-- why: a checkpoint that comes before its time writes pages twice, and each page into the WAL once more
-- source: agentdb: over 10 requested ones, and more than timed ones; https://www.postgresql.org/docs/current/wal-configuration.html
WITH checkpoints AS (
    -- include: inspect/checkpoints
)
SELECT CASE WHEN c.requested > 10 AND c.requested > c.timed THEN 'warning' ELSE 'ok' END AS status,
       pg_catalog.format(
           '%s requested and %s timed since %s; max_wal_size is %s', c.requested, c.timed,
           coalesce(c.stats_reset::timestamptz(0)::text, 'the beginning'),
           pg_catalog.current_setting('max_wal_size')
       ) AS value,
       pg_catalog.format(
           'ALTER SYSTEM SET max_wal_size = %L; SELECT pg_catalog.pg_reload_conf(); SELECT pg_catalog.pg_stat_reset_shared(%L)',
           2 * pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size')) / 1048576 || 'MB',
           'bgwriter' -- server < 17
           'checkpointer' -- server >= 17
       ) AS sql
FROM checkpoints AS c;
