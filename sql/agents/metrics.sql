-- Metrics within the window, one row an agent and metric: their bounds, and means of equal parts of
-- the window. places are the parts, from 0, that have samples; those without are gaps.
--
-- Of one metric, of all, or of the one with the most samples of agents.
WITH sample AS (
    SELECT
           NULL::text AS agent, -- unless metrics.agent_column
           m.:"metrics.agent_column"::text AS agent, -- if metrics.agent_column
           m.:"metrics.name_column"::text AS metric,
           m.:"metrics.value_column"::float8 AS value,
           m.:"metrics.time_column"::timestamptz AS taken_at
    FROM :"metrics.table" AS m
    WHERE m.:"metrics.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
      AND m.:"metrics.value_column" IS NOT NULL
      AND m.:"metrics.agent_column" = :'agent' -- if agent
      AND m.:"metrics.name_column" = :'metric' -- if metric
      -- if most_frequent
      AND m.:"metrics.name_column" = (
          SELECT f.:"metrics.name_column"
          FROM :"metrics.table" AS f
          WHERE f.:"metrics.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
            AND f.:"metrics.agent_column" IS NOT NULL
          GROUP BY 1
          ORDER BY count(*) DESC, 1
          LIMIT 1
      )
      -- end
), part AS (
    SELECT agent, metric,
           -- An agent's clock may be ahead of the server's.
           least(
               floor(
                   extract(epoch FROM taken_at - pg_catalog.now() + pg_catalog.make_interval(secs => :window))
                   / :window * :parts
               ),
               :parts - 1
           )::int AS place,
           count(*) AS samples,
           sum(value) AS total,
           min(value) AS lowest,
           max(value) AS highest,
           (array_agg(value ORDER BY taken_at DESC))[1] AS last
    FROM sample
    GROUP BY 1, 2, 3
)
SELECT agent, metric,
       sum(samples)::bigint AS samples,
       (array_agg(last ORDER BY place DESC))[1] AS last,
       min(lowest) AS lowest,
       sum(total) / sum(samples)::float8 AS mean,
       max(highest) AS highest,
       array_agg(place ORDER BY place) AS places,
       array_agg(total / samples ORDER BY place) AS means
FROM part
GROUP BY 1, 2
ORDER BY 1, 2;
