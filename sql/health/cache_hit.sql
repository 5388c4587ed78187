-- title: Share of block reads that shared_buffers served
-- unit: share
-- warning: 0.9
-- critical: 0.8
-- source: below nine in ten, the working set does not fit
-- advice: raise shared_buffers, or find the statements that read much
-- dig: agentdb inspect cache-hit
-- direction: below
SELECT CASE WHEN blks_hit + blks_read < 100000 THEN 1
            ELSE blks_hit::float8 / (blks_hit + blks_read) END AS value,
       CASE WHEN blks_hit + blks_read < 100000 THEN 'too few reads to tell'
            ELSE blks_read || ' blocks read from the system' END AS detail
FROM pg_catalog.pg_stat_database
WHERE datname = pg_catalog.current_database();
