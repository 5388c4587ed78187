-- Error events within the window, one row an agent; those without an agent are the system's own.
SELECT
       NULL::text AS agent, -- unless events.agent_column
       e.:"events.agent_column"::text AS agent, -- if events.agent_column
       count(*) AS errors,
       min(e.:"events.time_column")::timestamptz AS first_error_at,
       max(e.:"events.time_column")::timestamptz AS last_error_at
FROM :"events.table" AS e
WHERE e.:"events.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
  AND e.:"events.severity_column" = ANY (:'events.error_severities')
GROUP BY 1;
