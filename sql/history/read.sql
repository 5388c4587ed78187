-- title: what has been applied, oldest version first
SELECT version, name, checksum, applied_at, duration, applied_by, tool_version, variables
FROM :"schema".:"table"
WHERE pack = :'pack'
ORDER BY version;
