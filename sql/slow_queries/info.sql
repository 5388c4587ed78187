-- When pg_stat_statements was last emptied (seconds since the epoch), and how often it
-- had to drop statements for want of room. {schema} is the extension's schema.
SELECT extract(epoch FROM i.stats_reset)::double precision AS reset_at,
       i.dealloc AS dropped
FROM {schema}.pg_stat_statements_info AS i;
