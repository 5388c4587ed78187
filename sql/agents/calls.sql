-- Calls to language models: totals by day (in UTC) and model, and by agent within the window.
--
-- Sums are of numeric and so exact. A call without tokens or cost is counted apart: it did not cost
-- nothing, nobody wrote down what. Rows with by_agent have no day and model, the others no agent.
WITH call AS (
    SELECT (c.:"llm_calls.time_column"::timestamptz AT TIME ZONE 'UTC')::date AS day,
           c.:"llm_calls.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window) AS recent,
           c.:"llm_calls.agent_column"::text AS agent, -- if llm_calls.agent_column
           v.:"conversations.agent_column"::text AS agent, -- if conversations.agent_column
           NULL::text AS agent, -- unless calls_have_agents
           c.:"llm_calls.model_column"::text AS model, -- if llm_calls.model_column
           v.:"conversations.model_column"::text AS model, -- if conversations.model_column
           NULL::text AS model, -- unless calls_have_models
           c.:"llm_calls.conversation_column"::text AS conversation, -- if llm_calls.conversation_column
           NULL::text AS conversation, -- unless llm_calls.conversation_column
           -- if llm_calls.input_tokens_column
           CASE
               WHEN pg_catalog.num_nonnulls(c.:"llm_calls.input_tokens_column", c.:"llm_calls.output_tokens_column") > 0
               THEN coalesce(c.:"llm_calls.input_tokens_column", 0)::numeric
                    + coalesce(c.:"llm_calls.output_tokens_column", 0)
           END AS tokens,
           -- end
           c.:"llm_calls.tokens_column"::numeric AS tokens, -- if llm_calls.tokens_column
           NULL::numeric AS tokens, -- unless calls_have_tokens
           c.:"llm_calls.cost_column"::numeric AS cost -- if llm_calls.cost_column
           NULL::numeric AS cost -- unless llm_calls.cost_column
    FROM :"llm_calls.table" AS c
    -- if conversations.table
    LEFT JOIN :"conversations.table" AS v ON v.:"conversations.key" = c.:"llm_calls.conversation_column"
    -- end
    WHERE c.:"llm_calls.time_column" >= least(
        (pg_catalog.now() AT TIME ZONE 'UTC')::date::timestamp AT TIME ZONE 'UTC'
        - pg_catalog.make_interval(secs => 86400 * (:days - 1)),
        pg_catalog.now() - pg_catalog.make_interval(secs => :window)
    )
      AND c.:"llm_calls.role_column" = ANY (:'llm_calls.answer_roles') -- if llm_calls.role_column
      AND c.:"llm_calls.agent_column" = :'agent' -- if agent_of_call
      AND v.:"conversations.agent_column" = :'agent' -- if agent_of_conversation
)
SELECT grouping(day) = 1 AS by_agent,
       day, model, agent,
       count(DISTINCT conversation) AS conversations, -- if llm_calls.conversation_column
       -- if calls_have_tokens
       sum(tokens) AS tokens,
       count(*) - count(tokens) AS calls_without_tokens,
       sum(tokens) FILTER (WHERE recent) AS recent_tokens,
       -- end
       -- if llm_calls.cost_column
       sum(cost) AS cost,
       count(*) - count(cost) AS calls_without_cost,
       sum(cost) FILTER (WHERE recent) AS recent_cost,
       count(*) FILTER (WHERE recent AND cost IS NULL) AS recent_calls_without_cost,
       -- end
       count(*) FILTER (WHERE recent) AS recent_calls,
       count(*) AS calls
FROM call
GROUP BY GROUPING SETS ((day, model), (agent))
HAVING grouping(day) = 1 OR day > (pg_catalog.now() AT TIME ZONE 'UTC')::date - :days::int
ORDER BY 1, day DESC, sum(cost) DESC NULLS LAST, count(*) DESC, model;
