-- title: Autovacuum
-- area: infrastructure
-- none: on, for every table
-- why: without it tables bloat, statistics rot, and after two billion transactions the server stops
-- source: https://www.postgresql.org/docs/current/routine-vacuuming.html
SELECT 'critical' AS status,
       s.name || ' is off' AS value,
       pg_catalog.format(
           'ALTER SYSTEM SET %I = on; SELECT pg_catalog.pg_reload_conf()', s.name
       ) AS sql
FROM pg_catalog.pg_settings AS s
WHERE s.name IN ('autovacuum', 'track_counts')
  AND s.setting = 'off'
UNION ALL
SELECT 'warning',
       pg_catalog.format('off for %I.%I', n.nspname, c.relname),
       pg_catalog.format('ALTER TABLE %I.%I RESET (autovacuum_enabled)', n.nspname, c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm')
  AND EXISTS (
      SELECT
      FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
      WHERE o.option_name = 'autovacuum_enabled'
        AND NOT o.option_value::boolean
  );
