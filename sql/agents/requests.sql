-- Help requests that are open, the oldest first; backlog is the number of all of them.
SELECT r.:"help_requests.key"::text AS request, -- if help_requests.key
       r.:"help_requests.priority_column"::text AS priority, -- if help_requests.priority_column
       r.:"help_requests.status_column"::text AS status,
       r.:"help_requests.time_column"::timestamptz AS created_at,
       count(*) OVER () AS backlog
FROM :"help_requests.table" AS r
WHERE r.:"help_requests.status_column" = ANY (:'help_requests.open_statuses')
  -- if agent
  AND EXISTS (
      SELECT FROM :"help_responses.table" AS p
      WHERE p.:"help_responses.request_column" = r.:"help_requests.key"
        AND p.:"help_responses.agent_column" = :'agent'
  )
  -- end
ORDER BY r.:"help_requests.time_column" NULLS FIRST
LIMIT :limit;
