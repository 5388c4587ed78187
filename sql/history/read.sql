-- title: which migrations have been applied, and from which files
-- Few columns, all of simple types: every run of agentdb migrate reads this.
SELECT version, name, checksum, variables::text
FROM :"schema".:"table"
WHERE pack = :'pack'
ORDER BY version;
