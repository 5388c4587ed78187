-- title: Invalid indexes
-- unit: count
-- warning: 0
-- critical: none
-- source: a failed CREATE INDEX CONCURRENTLY leaves one: it costs writes and serves no read
-- advice: REINDEX INDEX CONCURRENTLY it, or drop it
-- dig: agentdb inspect invalid-indexes
SELECT count(*)::float8 AS value,
       coalesce(pg_catalog.string_agg(indexrelid::pg_catalog.regclass::text, ', '), 'none') AS detail
FROM pg_catalog.pg_index AS i
WHERE NOT indisvalid
  AND NOT EXISTS (  -- one that is being built right now is not a failure
      SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid
  );
