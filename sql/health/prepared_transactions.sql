-- title: Age of the oldest prepared transaction
-- unit: seconds
-- warning: 300
-- critical: 3600
-- source: a forgotten one keeps its locks for ever
-- advice: COMMIT PREPARED or ROLLBACK PREPARED it
-- dig: agentdb inspect prepared-transactions
SELECT coalesce(max(extract(epoch FROM pg_catalog.now() - prepared)), 0)::float8 AS value,
       coalesce((pg_catalog.array_agg(gid ORDER BY prepared))[1], 'none') AS detail
FROM pg_catalog.pg_prepared_xacts;
