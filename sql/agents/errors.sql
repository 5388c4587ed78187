-- The last error events within the window, the latest first.
SELECT e.:"events.time_column"::timestamptz AS occurred_at,
       e.:"events.agent_column"::text AS agent, -- if events.agent_column
       e.:"events.type_column"::text AS type, -- if events.type_column
       left(e.:"events.message_column"::text, 500) AS message, -- if events.message_column
       e.:"events.severity_column"::text AS severity
FROM :"events.table" AS e
WHERE e.:"events.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
  AND e.:"events.severity_column" = ANY (:'events.error_severities')
  AND e.:"events.agent_column" = :'agent' -- if agent
ORDER BY e.:"events.time_column" DESC
LIMIT :limit;
