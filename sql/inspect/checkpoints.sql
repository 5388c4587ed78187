-- title: Checkpoints, and who writes dirty buffers
-- advice: Many requested ones: raise max_wal_size until most are timed. Clients should hardly write
--         themselves (buffers_backend): raise shared_buffers or bgwriter_lru_maxpages.
-- columns: requested_percent: % of all checkpoints; interval, last_checkpoint_age: interval;
--          write_time, sync_time: milliseconds; buffers_*: blocks of block_size
-- sort: requested_percent desc
SELECT c.timed,
       c.requested,
       pg_catalog.round(100.0 * c.requested / nullif(c.timed + c.requested, 0), 1)
           AS requested_percent,
       (pg_catalog.clock_timestamp() - c.stats_reset) / nullif(c.timed + c.requested, 0)
           AS "interval",
       pg_catalog.clock_timestamp() - control.checkpoint_time AS last_checkpoint_age,
       c.write_time,
       c.sync_time,
       c.buffers_checkpoint,
       b.buffers_clean,
       c.buffers_backend,
       b.maxwritten_clean,
       b.buffers_alloc,
       c.restartpoints_timed,
       c.restartpoints_requested,
       c.restartpoints_done,
       c.stats_reset
FROM pg_catalog.pg_stat_bgwriter AS b
CROSS JOIN (
    SELECT s.num_timed, s.num_requested, s.write_time, s.sync_time, -- server >= 17
           s.buffers_written, -- server >= 17
           (SELECT pg_catalog.sum(io.writes)::bigint -- server >= 17
            FROM pg_catalog.pg_stat_io AS io -- server >= 17
            WHERE io.object = 'relation' -- server >= 17
              AND io.backend_type NOT IN ('checkpointer', 'background writer')), -- server >= 17
           s.restartpoints_timed, s.restartpoints_req, s.restartpoints_done, -- server >= 17
           s.stats_reset -- server >= 17
    FROM pg_catalog.pg_stat_checkpointer AS s -- server >= 17
    SELECT s.checkpoints_timed, s.checkpoints_req, -- server < 17
           s.checkpoint_write_time, s.checkpoint_sync_time, -- server < 17
           s.buffers_checkpoint, s.buffers_backend, -- server < 17
           NULL::bigint, NULL::bigint, NULL::bigint, s.stats_reset -- server < 17
    FROM pg_catalog.pg_stat_bgwriter AS s -- server < 17
) AS c (timed, requested, write_time, sync_time, buffers_checkpoint, buffers_backend,
        restartpoints_timed, restartpoints_requested, restartpoints_done, stats_reset)
CROSS JOIN pg_catalog.pg_control_checkpoint() AS control;
