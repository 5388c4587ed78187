-- title: WAL that inactive replication slots retain
-- unit: bytes
-- warning: 1073741824
-- critical: 10737418240
-- source: retained WAL fills the disk, and then the server stops
-- advice: bring the consumer back, or drop the slot: SELECT pg_drop_replication_slot(name)
-- dig: agentdb inspect replication-slots
SELECT coalesce(max(
           pg_catalog.pg_wal_lsn_diff(
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END,
               restart_lsn
           )
       ), 0)::float8 AS value,
       CASE count(*) WHEN 0 THEN 'none inactive' ELSE pg_catalog.string_agg(slot_name, ', ') END AS detail
FROM pg_catalog.pg_replication_slots
WHERE NOT active;
