-- title: Agents in an error state
-- unit: count
-- warning: 0
-- critical: none
-- source: the pack's error states
-- advice: look at those agents' logs
-- dig: agentdb agents
-- needs: agents
SELECT count(*)::float8 AS value,
       coalesce(pg_catalog.string_agg(:"key" || ' (' || :"state_column" || ')', ', ' ORDER BY :"key"), 'none') AS detail
FROM :"agents_table"
WHERE :"state_column" = ANY (:'error_states');
