-- title: Tables with over 50,000 rows changed, and twice as many as autovacuum lets pass
-- unit: count
-- warning: 0
-- critical: none
-- source: agentdb: autovacuum analyses at half of it, unless it is off, behind or blocked
-- advice: ANALYZE them, and find out why autovacuum does not
-- dig: agentdb inspect stale-statistics
WITH changed AS (  -- autovacuum leaves partitioned tables out, and so does this
    SELECT c.oid,
           c.reltuples,
           c.reloptions,
           pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS changes
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm')
      AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND pg_catalog.pg_stat_get_mod_since_analyze(c.oid) > 50000
), stale AS (
    SELECT c.oid, c.changes
    FROM changed AS c
    CROSS JOIN LATERAL (
        SELECT pg_catalog.max(option_value) FILTER (WHERE option_name = 'autovacuum_analyze_threshold') AS base,
               pg_catalog.max(option_value) FILTER (WHERE option_name = 'autovacuum_analyze_scale_factor') AS factor
        FROM pg_catalog.pg_options_to_table(c.reloptions)
    ) AS own
    WHERE c.changes > 2 * (
              coalesce(own.base, pg_catalog.current_setting('autovacuum_analyze_threshold'))::float8
              + coalesce(own.factor, pg_catalog.current_setting('autovacuum_analyze_scale_factor'))::float8
              * greatest(c.reltuples, 0)
          )
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_analyze AS p WHERE p.relid = c.oid)
), worst AS (
    SELECT oid::pg_catalog.regclass || ' (' || changes || ' rows changed)' AS name, changes
    FROM stale
    ORDER BY changes DESC
    LIMIT 5
)
SELECT (SELECT count(*) FROM stale)::float8 AS value,
       coalesce((SELECT pg_catalog.string_agg(name, ', ' ORDER BY changes DESC) FROM worst), 'none')
       -- a crash sets all counters back, and then nobody knows what was changed before
       || ', counted since ' || greatest(
           coalesce(d.stats_reset, '-infinity'), b.stats_reset
       )::timestamptz(0) AS detail
FROM pg_catalog.pg_stat_database AS d
CROSS JOIN pg_catalog.pg_stat_bgwriter AS b
WHERE d.datname = pg_catalog.current_database();
