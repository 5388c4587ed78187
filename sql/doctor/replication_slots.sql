-- title: Replication slots that keep WAL
-- area: infrastructure
-- none: none keeps more than it may
-- why: an abandoned slot keeps all WAL from its last position on until the disk is full
-- source: agentdb: more than max_wal_size while nobody reads it, which the server would else have removed; critical
--         from 10 GB on, as agentdb health has it
WITH slots AS (
    -- include: inspect/replication_slots
)
SELECT CASE WHEN s.retained > 10737418240 THEN 'critical' ELSE 'warning' END AS status,
       pg_catalog.format(
           'slot %s is inactive, %s', s.slot,
           CASE WHEN s.wal_status = 'lost' THEN 'and lost'
                ELSE 'and keeps ' || pg_catalog.pg_size_pretty(s.retained) END
       ) AS value,
       pg_catalog.format('SELECT pg_catalog.pg_drop_replication_slot(%L)', s.slot) AS sql,
       'its standby or subscriber must be built anew: drop it only if that is gone' AS caution
FROM slots AS s
WHERE NOT s.active
  AND (
      s.wal_status = 'lost'
      OR s.retained > pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))
  )
UNION ALL
SELECT 'warning',
       'max_slot_wal_keep_size is -1: nothing bounds what a slot may keep',
       $$ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_catalog.pg_reload_conf()$$,
       'a standby that falls further behind is cut off and must be built anew: choose the size'
WHERE pg_catalog.current_setting('max_slot_wal_keep_size') = '-1'
  AND EXISTS (SELECT FROM slots);
