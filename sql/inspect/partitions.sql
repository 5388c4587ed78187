-- title: Partitioned tables: bounds, sizes, and whether today and tomorrow have a partition
-- advice: Make the partitions to come ahead of time. Rows of the default partition
--         forbid a partition for their range: move them first (DETACH the default, CREATE the
--         partition, INSERT … SELECT).
-- columns: partitions: direct ones, without the default; size: bytes with indexes and TOAST;
--          first_bound, last_bound: of ranges of times; today, tomorrow: whether a partition
--          other than the default takes rows of now and of a day later (none: not by time);
--          default_rows: estimated
-- sort: today
WITH parents AS (
    SELECT c.oid,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
           k.partstrat,
           k.partdefid,
           k.partstrat = 'r'
           AND k.partnatts = 1
           -- date, timestamp, timestamp with time zone
           AND a.atttypid IS NOT NULL AS by_time
    FROM pg_catalog.pg_partitioned_table AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.partrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum = k.partattrs[0] AND a.atttypid IN (1082, 1114, 1184)
    WHERE n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
),
bounds AS (
    SELECT p.oid AS parent,
           h.inhrelid AS oid,
           b.bound,
           CASE WHEN p.by_time THEN
               CASE WHEN b.bound LIKE 'FOR VALUES FROM (MINVALUE)%' THEN '-infinity'
                    ELSE pg_catalog.substring(b.bound, 'FROM \(''([^'']+)''\) TO')::timestamptz
               END
           END AS lower,
           CASE WHEN p.by_time THEN
               CASE WHEN b.bound LIKE '%TO (MAXVALUE)' THEN 'infinity'
                    ELSE pg_catalog.substring(b.bound, ' TO \(''([^'']+)''\)$')::timestamptz
               END
           END AS upper
    FROM parents AS p
    JOIN pg_catalog.pg_inherits AS h ON h.inhparent = p.oid
    JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
    CROSS JOIN LATERAL (
        SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
    ) AS b
),
ranges AS (
    SELECT b.parent,
           pg_catalog.count(*) FILTER (WHERE b.bound <> 'DEFAULT') AS partitions,
           pg_catalog.min(b.lower) AS first_bound,
           pg_catalog.max(b.upper) AS last_bound,
           pg_catalog.bool_or(b.lower <= t.today AND t.today < b.upper) AS today,
           pg_catalog.bool_or(
               b.lower <= t.today + interval '1 day' AND t.today + interval '1 day' < b.upper
           ) AS tomorrow
    FROM bounds AS b
    CROSS JOIN (SELECT pg_catalog.now() AS today) AS t
    GROUP BY b.parent
),
members AS (
    WITH RECURSIVE below AS (
        SELECT p.oid AS parent, p.oid FROM parents AS p
        UNION ALL
        SELECT d.parent, h.inhrelid
        FROM below AS d
        JOIN pg_catalog.pg_inherits AS h ON h.inhparent = d.oid
    )
    SELECT d.parent,
           pg_catalog.sum(pg_catalog.pg_total_relation_size(d.oid))::bigint AS size
    FROM below AS d
    GROUP BY d.parent
),
described AS (
    SELECT p.relation,
           CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END AS strategy,
           pg_catalog.pg_get_partkeydef(p.oid) AS key,
           COALESCE(r.partitions, 0) AS partitions,
           m.size,
           r.first_bound,
           r.last_bound,
           CASE WHEN p.by_time THEN COALESCE(r.today, false) END AS today,
           CASE WHEN p.by_time THEN COALESCE(r.tomorrow, false) END AS tomorrow,
           CASE WHEN d.oid IS NOT NULL
                THEN pg_catalog.format('%I.%I', dn.nspname, d.relname)
           END AS default_partition,
           -- counted since the last VACUUM or ANALYZE, or estimated by it
           GREATEST(
               pg_catalog.pg_stat_get_live_tuples(d.oid), d.reltuples::bigint,
               CASE WHEN d.oid IS NOT NULL THEN 0 END
           ) AS default_rows
    FROM parents AS p
    JOIN members AS m ON m.parent = p.oid
    LEFT JOIN ranges AS r ON r.parent = p.oid
    LEFT JOIN pg_catalog.pg_class AS d ON d.oid = p.partdefid
    LEFT JOIN pg_catalog.pg_namespace AS dn ON dn.oid = d.relnamespace
)
SELECT x.relation,
       x.strategy,
       x.key,
       x.partitions,
       x.size,
       -- as text: a client may know no infinity
       CASE WHEN x.first_bound = '-infinity' THEN 'MINVALUE' ELSE x.first_bound::text
       END AS first_bound,
       CASE WHEN x.last_bound = 'infinity' THEN 'MAXVALUE' ELSE x.last_bound::text
       END AS last_bound,
       x.today,
       x.tomorrow,
       x.default_partition,
       x.default_rows,
       NULLIF(
           pg_catalog.concat_ws(
               '; ',
               CASE WHEN x.partitions = 0 AND x.default_partition IS NULL THEN 'no partitions'
                    WHEN NOT x.today THEN 'no partition for today'
                    WHEN NOT x.tomorrow THEN 'no partition for tomorrow'
               END,
               CASE WHEN x.default_rows > 0 AND x.today IS NOT NULL
                    THEN 'rows in the default partition'
               END
           ), ''
       ) AS problem
FROM described AS x
ORDER BY x.today NULLS LAST, x.tomorrow NULLS LAST, x.default_rows DESC NULLS LAST, x.size DESC,
         x.relation;
