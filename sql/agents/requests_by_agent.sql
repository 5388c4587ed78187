-- Help requests that an agent has answered and that are open nevertheless, one row an agent.
SELECT p.:"help_responses.agent_column"::text AS agent,
       count(DISTINCT r.:"help_requests.key") AS open_requests
FROM :"help_requests.table" AS r
JOIN :"help_responses.table" AS p ON p.:"help_responses.request_column" = r.:"help_requests.key"
WHERE r.:"help_requests.status_column" = ANY (:'help_requests.open_statuses')
  AND p.:"help_responses.agent_column" IS NOT NULL
GROUP BY 1;
