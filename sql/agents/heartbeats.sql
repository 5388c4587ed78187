-- The last sign of life of each registered agent, one row an agent.
--
-- errors_before is the count with the first heartbeat in the window: the difference is what is new.
-- other_state_at is when an agent in an error state last reported another one, within the window.
--
-- One descent of the index on (agent, time DESC) an agent, so that the size of the table hardly matters.
-- That takes >= and <= instead of =, and the agent in ORDER BY: with =, the planner may as well read
-- an index on time alone, which for an agent that has been silent for long means all of it.
SELECT a.:"agents.key"::text AS agent,
       last.state AS heartbeat_state, -- if heartbeats.state_column
       last.errors AS error_count, -- if heartbeats.error_count_column
       first.errors AS errors_before, -- if heartbeats.error_count_column
       other.beat AS other_state_at, -- if states
       last.beat AS last_heartbeat
FROM :"agents.table" AS a
CROSS JOIN LATERAL (
    SELECT h.:"heartbeats.time_column"::timestamptz AS beat
           , h.:"heartbeats.state_column"::text AS state -- if heartbeats.state_column
           , h.:"heartbeats.error_count_column" AS errors -- if heartbeats.error_count_column
    FROM :"heartbeats.table" AS h
    WHERE h.:"heartbeats.agent_column" >= a.:"agents.key"
      AND h.:"heartbeats.agent_column" <= a.:"agents.key"
      AND h.:"heartbeats.time_column" IS NOT NULL
    ORDER BY h.:"heartbeats.agent_column", h.:"heartbeats.time_column" DESC
    LIMIT 1
) AS last
-- if heartbeats.error_count_column
LEFT JOIN LATERAL (
    SELECT h.:"heartbeats.error_count_column" AS errors
    FROM :"heartbeats.table" AS h
    WHERE h.:"heartbeats.agent_column" = a.:"agents.key"
      AND h.:"heartbeats.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
    ORDER BY h.:"heartbeats.time_column"
    LIMIT 1
) AS first ON true
-- end
-- if states
LEFT JOIN LATERAL (
    SELECT max(h.:"heartbeats.time_column")::timestamptz AS beat
    FROM :"heartbeats.table" AS h
    WHERE a.:"agents.state_column"::text = ANY (:'agents.error_states')
      AND h.:"heartbeats.agent_column" = a.:"agents.key"
      AND h.:"heartbeats.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
      AND h.:"heartbeats.state_column"::text <> a.:"agents.state_column"::text
) AS other ON true
-- end
