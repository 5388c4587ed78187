-- title: Age of the oldest unanswered help request
-- unit: seconds
-- warning: 3600
-- critical: 86400
-- source: somebody has been waiting for an hour
-- advice: answer it, or find out why no agent does
-- dig: agentdb agents
-- needs: help_requests
SELECT coalesce(extract(epoch FROM pg_catalog.now() - min(:"time_column")), 0)::float8 AS value,
       count(*) || ' open' AS detail
FROM :"table"
WHERE :"status_column" = ANY (:'open_statuses');
