-- The texts of some statements. {schema} is the extension's schema.
SELECT DISTINCT ON (s.dbid, s.queryid) s.dbid::bigint, s.queryid, s.query
FROM {schema}.pg_stat_statements AS s
WHERE s.queryid = ANY (%s::bigint[])
ORDER BY s.dbid, s.queryid, s.query IS NULL;
