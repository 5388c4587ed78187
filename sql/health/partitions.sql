-- title: Time series without a partition for tomorrow
-- unit: count
-- warning: 0
-- critical: none
-- source: agentdb: from midnight on rows go into the default partition, or are refused where there is none
-- advice: agentdb retention partitions, from cron each day
-- dig: agentdb inspect partitions
WITH bounds AS (
    SELECT i.inhparent AS parent,
           pg_catalog.pg_get_expr(c.relpartbound, 0) AS bound  -- naming the table would lock it
    FROM pg_catalog.pg_partitioned_table AS p
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.partrelid
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    WHERE p.partstrat = 'r'
      AND p.partnatts = 1
      AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
),
series AS (
    SELECT parent,
           max((pg_catalog.regexp_match(bound, $$TO \('([^']+)'\)$$))[1]::timestamptz) AS last,
           bool_or(bound LIKE '% TO (MAXVALUE)') AS open,
           bool_or(bound = 'DEFAULT') AS has_default
    FROM bounds
    GROUP BY parent
)
SELECT count(*)::float8 AS value,
       coalesce(
           pg_catalog.string_agg(
               parent::regclass || ' (ends at ' || last::timestamptz(0)
               || CASE WHEN has_default THEN '' ELSE ', no default' END || ')',
               ', ' ORDER BY last, parent::regclass::text
           ),
           'none'
       ) AS detail
FROM series
-- A series that ended a month ago was given up; one day ahead is tomorrow in every time zone.
WHERE NOT open
  AND last < pg_catalog.now() + interval '1 day'
  AND last > pg_catalog.now() - interval '30 days';
