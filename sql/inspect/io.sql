-- title: Reads and writes by kind of process, object and context
-- advice: A low hit_percent of client backends in context normal: shared_buffers is small for what
--         they read; see agentdb inspect cache-hit. Times need track_io_timing = on.
-- columns: read_bytes, write_bytes, extend_bytes: bytes; read_time, write_time: milliseconds;
--          hit_percent: % of reads from shared_buffers; others: count
-- sort: read_bytes desc
-- requires: server >= 16
SELECT i.backend_type,
       i.object,
       i.context,
       i.reads,
       i.read_bytes, -- server >= 18
       i.reads * i.op_bytes AS read_bytes, -- server < 18
       i.read_time,
       i.hits,
       pg_catalog.round((100.0 * i.hits / nullif(i.hits + i.reads, 0))::numeric, 1) AS hit_percent,
       i.writes,
       i.write_bytes, -- server >= 18
       i.writes * i.op_bytes AS write_bytes, -- server < 18
       i.write_time,
       i.extends,
       i.extend_bytes, -- server >= 18
       i.extends * i.op_bytes AS extend_bytes, -- server < 18
       i.evictions,
       i.reuses,
       i.fsyncs,
       i.stats_reset
FROM pg_catalog.pg_stat_io AS i
WHERE coalesce(i.reads, 0) + coalesce(i.writes, 0) + coalesce(i.extends, 0)
      + coalesce(i.hits, 0) + coalesce(i.fsyncs, 0) > 0
ORDER BY read_bytes DESC NULLS LAST, i.hits DESC NULLS LAST,
         i.backend_type, i.object, i.context;
