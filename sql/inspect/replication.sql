-- title: Standbys and subscribers that stream from this server, and how far behind they are
-- advice: pending grows: this server or the network is slow. flush or replay grow: the standby's
--         disk, or queries there that hold replay up (max_standby_streaming_delay).
-- columns: pending, write, flush, replay: bytes behind; write_lag, flush_lag, replay_lag,
--          reply_age: interval
-- sort: replay desc
-- requires: role pg_monitor
SELECT r.pid,
       r.application_name AS application,
       r.usename AS role,
       pg_catalog.host(r.client_addr) AS client_addr,
       s.slot_name::text AS slot,
       r.state,
       r.sync_state,
       greatest(pg_catalog.pg_wal_lsn_diff(here.lsn, r.sent_lsn), 0) AS pending,
       greatest(pg_catalog.pg_wal_lsn_diff(here.lsn, r.write_lsn), 0) AS write,
       greatest(pg_catalog.pg_wal_lsn_diff(here.lsn, r.flush_lsn), 0) AS flush,
       greatest(pg_catalog.pg_wal_lsn_diff(here.lsn, r.replay_lsn), 0) AS replay,
       r.write_lag,
       r.flush_lag,
       r.replay_lag,
       pg_catalog.clock_timestamp() - r.reply_time AS reply_age
FROM pg_catalog.pg_stat_replication AS r
-- A standby that feeds others has written no WAL of its own.
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(),
                              pg_catalog.pg_last_wal_replay_lsn())
                ELSE pg_catalog.pg_current_wal_lsn()
           END
) AS here (lsn)
LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
ORDER BY replay DESC NULLS LAST, r.pid;
