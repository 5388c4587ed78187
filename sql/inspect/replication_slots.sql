-- title: Replication slots, and the WAL and dead rows that they keep from being removed
-- advice: A slot that nobody reads fills the disk: SELECT pg_drop_replication_slot('NAME') if its
--         standby or subscriber is gone; max_slot_wal_keep_size bounds the rest. A lost one is
--         useless.
-- columns: retained, unconfirmed, safe_wal_size: bytes; xmin_age, catalog_xmin_age: transactions
-- sort: retained desc
SELECT s.slot_name::text AS slot,
       s.slot_type AS type,
       s.plugin::text AS plugin,
       s.database::text AS database,
       s.active,
       s.active_pid,
       pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn) AS retained,
       pg_catalog.pg_wal_lsn_diff(here.lsn, s.confirmed_flush_lsn) AS unconfirmed,
       s.wal_status,
       s.safe_wal_size,
       -- 17 gives the reason, 16 only tells that recovery removed what the slot needs.
       coalesce(pg_catalog.to_jsonb(s) ->> 'invalidation_reason',
                CASE WHEN pg_catalog.to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflicting' END,
                CASE WHEN s.wal_status = 'lost' THEN 'wal_removed' END) AS invalidation_reason,
       pg_catalog.age(s.xmin) AS xmin_age,
       pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
       s.inactive_since, -- server >= 17
       NULL::timestamptz AS inactive_since, -- server < 17
       s.temporary
FROM pg_catalog.pg_replication_slots AS s
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(),
                              pg_catalog.pg_last_wal_replay_lsn())
                ELSE pg_catalog.pg_current_wal_lsn()
           END
) AS here (lsn)
ORDER BY s.wal_status = 'lost' DESC NULLS LAST, retained DESC NULLS LAST, slot;
