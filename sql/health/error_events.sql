-- title: Share of error events within the last hour
-- unit: share
-- warning: 0.05
-- critical: 0.25
-- source: Background Agents alerts over 5 %
-- pack: thresholds.error_rate events.error_rate_warning
-- advice: read the events: SELECT on the pack's event table
-- dig: agentdb agents
-- needs: events
SELECT coalesce(
           count(*) FILTER (WHERE :"severity_column" = ANY (:'error_severities'))::float8 / nullif(count(*), 0), 0
       ) AS value,
       count(*) FILTER (WHERE :"severity_column" = ANY (:'error_severities')) || ' of ' || count(*)
       || ' events' AS detail
FROM :"table"
WHERE :"time_column" > pg_catalog.now() - interval '1 hour';
