-- title: Write-ahead log: what has been written, how fast, and how its archiving goes
-- advice: Many full-page images (fpi) mean checkpoints too close together: raise max_wal_size.
--         buffers_full: raise wal_buffers. While archiving fails, WAL piles up: see the server log.
-- columns: bytes, bytes_per_second: bytes; write_time, sync_time: milliseconds, measured only with
--          track_wal_io_timing; PostgreSQL 13 counts none of them
-- sort: bytes desc
SELECT here.lsn::text AS lsn,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_setting('wal_level') AS wal_level,
       w.bytes,
       pg_catalog.round(
           w.bytes / nullif(extract(epoch FROM pg_catalog.clock_timestamp() - w.since)::numeric, 0),
           1) AS bytes_per_second,
       w.records,
       w.fpi,
       w.buffers_full,
       w.writes,
       w.syncs,
       w.write_time,
       w.sync_time,
       w.since AS stats_reset,
       pg_catalog.current_setting('archive_mode') AS archive_mode,
       a.archived_count AS archived,
       a.failed_count AS archive_failures,
       a.last_failed_wal,
       a.last_failed_time
FROM pg_catalog.pg_stat_archiver AS a
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(),
                              pg_catalog.pg_last_wal_replay_lsn())
                ELSE pg_catalog.pg_current_wal_lsn()
           END
) AS here (lsn)
CROSS JOIN (
    SELECT s.wal_bytes, s.wal_records, s.wal_fpi, s.wal_buffers_full, -- server >= 14
    SELECT NULL::numeric, NULL::bigint, NULL::bigint, NULL::bigint, -- server < 14
           -- 18 moved them to pg_stat_io, out of pg_stat_wal.
           (pg_catalog.to_jsonb(s) ->> 'wal_write')::bigint, -- server < 18
           (pg_catalog.to_jsonb(s) ->> 'wal_sync')::bigint, -- server < 18
           (pg_catalog.to_jsonb(s) ->> 'wal_write_time')::float8, -- server < 18
           (pg_catalog.to_jsonb(s) ->> 'wal_sync_time')::float8, -- server < 18
           io.writes, io.fsyncs, io.write_time, io.fsync_time, -- server >= 18
           s.stats_reset
    FROM pg_catalog.pg_stat_wal AS s -- server >= 14
    FROM (SELECT NULL::timestamptz AS stats_reset) AS s -- server < 14
    CROSS JOIN ( -- server >= 18
        SELECT pg_catalog.sum(io.writes)::bigint, pg_catalog.sum(io.fsyncs)::bigint, -- server >= 18
               pg_catalog.sum(io.write_time), pg_catalog.sum(io.fsync_time) -- server >= 18
        FROM pg_catalog.pg_stat_io AS io WHERE io.object = 'wal' -- server >= 18
    ) AS io (writes, fsyncs, write_time, fsync_time) -- server >= 18
) AS w (bytes, records, fpi, buffers_full, writes, syncs, write_time, sync_time, since);
