-- title: when, how fast and by whom migrations were applied
SELECT version, applied_at, duration, applied_by, tool_version
FROM :"schema".:"table"
WHERE pack = :'pack'
ORDER BY version;
