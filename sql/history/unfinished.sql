-- title: which migrations without a transaction are not done yet
SELECT version, name, state, done, begun, leaves, error, started_at
FROM :"schema".:"table"
WHERE pack = :'pack'
ORDER BY version;
