-- title: Running agents that missed more heartbeats than they may
-- unit: count
-- warning: 0
-- critical: none
-- source: the pack: Background Agents alerts at more than 2 consecutive misses of 60 s
-- advice: look at those agents' processes and logs
-- dig: agentdb agents
-- needs: heartbeats agents
WITH last AS (
    SELECT a.:"key" AS agent,
           -- >=, <= and the agent in ORDER BY: with = the planner may as well read an index on time
           -- alone, which for an agent that has been silent for long means all of it.
           (
               SELECT h.:"time_column" FROM :"table" AS h
               WHERE h.:"agent_column" >= a.:"key" AND h.:"agent_column" <= a.:"key"
                 AND h.:"time_column" IS NOT NULL
               ORDER BY h.:"agent_column", h.:"time_column" DESC
               LIMIT 1
           ) AS beat,
           a.:"started_column" AS started
    FROM :"agents_table" AS a
    WHERE a.:"state_column" = ANY (:'running_states')
)
SELECT count(*)::float8 AS value,
       coalesce(
           pg_catalog.string_agg(
               agent || ' (' || coalesce(
                   pg_catalog.date_trunc('second', pg_catalog.now() - beat)::text || ' ago', 'never'
               ) || ')', ', ' ORDER BY beat NULLS FIRST, agent
           ),
           'none'
       ) AS detail
FROM last
WHERE pg_catalog.now() - greatest(beat, started)
      > pg_catalog.make_interval(secs => :interval_seconds * (:missed_warning + 1))
   OR (beat IS NULL AND started IS NULL);
