-- title: Space that tables and B-tree indexes waste, estimated from statistics
-- advice: Dead rows go with VACUUM, and their space is used again; it returns to the
--         disk with VACUUM FULL (blocks the table) or pg_repack. Indexes: REINDEX INDEX
--         CONCURRENTLY. agentdb inspect bloat-exact measures instead.
-- columns: size, bloat (size beyond what the rows need): bytes; percent: bloat of size;
--          partitions: how many a partitioned relation's row sums up; listed from 1 MB and
--          10 percent on
-- sort: bloat desc
--
-- The size that a relation would have if it were written anew is computed from the row count
-- and each column's average width and share of NULLs (pg_stats). What the file has beyond that
-- is called bloat.
--
-- Table: a row takes a line pointer (4 bytes), a header (23 bytes, and a bit a column if there
-- are NULLs) and its columns, header and data each rounded up to 8 bytes. The columns are laid
-- out one after the other, each at its alignment; values of variable length are as wide as their
-- average, and those shorter than 127 bytes are not aligned. Pages hold a header of 24 bytes and
-- are filled up to the fillfactor, with whole rows.
--
-- B-tree: an entry takes a line pointer, a header of 8 bytes (16 with NULLs) and its columns,
-- rounded up to 8 bytes. A page has 24 + 16 bytes of headers; leaves are filled up to the
-- fillfactor, inner pages add one page for as many leaves as fit entries on a page. Where
-- deduplication applies (one column, not unique, a type whose equal values are the same bytes),
-- rows of one value share its key and cost 6 bytes each.
--
-- Rows are those that the statistics count as live, if they know a VACUUM or ANALYZE of the table,
-- but no more than reltuples scaled with the growth of the file, as the planner has it: what a
-- session wrote before its own VACUUM may be counted twice for a while.
--
-- Limits: it is as old and as rough as the statistics. Widths of values that vary a lot, partial
-- indexes on unusual rows and deduplication of many columns make it miss, mostly by less than a
-- tenth. Indexes filled in random order (UUIDs) settle at two thirds full: 30 percent is healthy.
-- TOAST and other index methods are not estimated. Left out are relations that were never
-- analysed, and those with a column whose statistics this role may not read.
WITH page AS (
    SELECT pg_catalog.current_setting('block_size')::numeric AS bytes
),
tables AS MATERIALIZED (
    SELECT c.oid,
           n.nspname,
           c.relname,
           c.relkind,
           pg_catalog.pg_relation_size(c.oid) AS size,
           -- dropped columns are NULL in rows that were written since
           pg_catalog.bool_or(a.attisdropped) AS has_dropped,
           pg_catalog.count(*) AS columns,
           COALESCE(
               (
                   SELECT o.option_value::numeric
                   FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
                   WHERE o.option_name = 'fillfactor'
               ), 100
           ) / 100 AS fillfactor,
           LEAST(
               CASE WHEN COALESCE(s.last_vacuum, s.last_autovacuum, s.last_analyze,
                                  s.last_autoanalyze) IS NOT NULL
                    THEN s.n_live_tup::numeric
               END,
               CASE WHEN c.reltuples > 0 AND c.relpages > 0
                    THEN c.reltuples::numeric * pg_catalog.pg_relation_size(c.oid)
                         / p.bytes / c.relpages
               END
           ) AS rows
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'heap'
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
    CROSS JOIN page AS p
    WHERE c.relkind IN ('r', 'm')
      -- large: AND (c.relpages >= 128 OR pg_catalog.pg_stat_get_live_tuples(c.oid) > 10000)
      AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
    GROUP BY c.oid, n.nspname, c.relname, c.relkind, c.relpages, c.reltuples, c.reloptions,
             s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze, s.n_live_tup,
             p.bytes
),
-- the columns of tables of some size, and of their indexes, with their statistics
columns AS MATERIALIZED (
    SELECT t.oid,
           a.attnum,
           pg_catalog.row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum) AS place,
           CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END AS alignment,
           a.attlen > 0 AS fixed,
           -- virtual generated columns are not stored
           CASE WHEN a.attgenerated = 'v' THEN 1 ELSE s.null_frac::numeric END AS null_frac,
           CASE WHEN a.attgenerated = 'v' THEN 0 ELSE s.avg_width END AS width,
           s.n_distinct::numeric AS n_distinct
    FROM tables AS t
    JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_stats AS s
        ON s.schemaname = t.nspname
       AND s.tablename = t.relname
       AND s.attname = a.attname
       AND NOT s.inherited
    WHERE t.size >= 128 * 1024
),
-- one column after the other, each at its alignment
laid AS (
    WITH RECURSIVE layout AS (
        SELECT t.oid, 0::bigint AS place, 0::numeric AS bytes
        FROM tables AS t
        UNION ALL
        SELECT c.oid,
               c.place,
               CASE
                   WHEN c.fixed AND c.null_frac = 0
                   THEN pg_catalog.ceil(l.bytes / c.alignment) * c.alignment + c.width
                   WHEN c.fixed OR c.width > 126
                   -- after values of variable length any padding is equally likely
                   THEN l.bytes + (1 - c.null_frac) * (c.width + (c.alignment - 1) / 2.0)
                   ELSE l.bytes + (1 - c.null_frac) * c.width
               END
        FROM layout AS l
        JOIN columns AS c ON c.oid = l.oid AND c.place = l.place + 1
    )
    SELECT DISTINCT ON (l.oid) l.oid, l.bytes
    FROM layout AS l
    ORDER BY l.oid, l.place DESC
),
heaps AS (
    SELECT t.oid,
           t.rows,
           t.size,
           -- whole rows on a page; one wider than a page has the rest in TOAST
           CASE WHEN t.rows = 0 THEN 0
                ELSE pg_catalog.ceil(
                         t.rows / GREATEST(
                             pg_catalog.floor(
                                 (p.bytes - 24) * t.fillfactor / (
                                     4
                                     + 8 * pg_catalog.ceil(
                                         (23 + CASE WHEN t.has_dropped OR x.nulls
                                                    THEN pg_catalog.ceil(t.columns / 8.0)
                                                    ELSE 0 END) / 8
                                       )
                                     + CASE WHEN x.all_fixed
                                            THEN 8 * pg_catalog.ceil(l.bytes / 8)
                                            -- rounding up adds 3.5 bytes on average
                                            ELSE l.bytes + 3.5 END
                                 )
                             ), 1
                         )
                     ) * p.bytes
           END AS needed
    FROM tables AS t
    JOIN laid AS l ON l.oid = t.oid
    JOIN (
        SELECT c.oid,
               pg_catalog.bool_or(c.null_frac > 0) AS nulls,
               pg_catalog.bool_and(c.fixed AND c.null_frac = 0) AS all_fixed,
               pg_catalog.bool_and(c.width IS NOT NULL) AS known
        FROM columns AS c
        GROUP BY c.oid
    ) AS x ON x.oid = t.oid
    CROSS JOIN page AS p
    WHERE x.known
      AND t.rows IS NOT NULL
),
-- what is known of each B-tree and its columns
entries AS (
    SELECT i.indexrelid AS oid,
           pg_catalog.pg_relation_size(i.indexrelid) AS size,
           -- a partial index has its own count
           CASE WHEN i.indpred IS NULL THEN t.rows
                WHEN c.reltuples >= 0 THEN LEAST(c.reltuples::numeric, t.rows)
           END AS rows,
           COALESCE(
               (
                   SELECT pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'fillfactor')
                   FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
               )::numeric, 90
           ) / 100 AS fillfactor,
           i.indnatts = 1
           AND NOT i.indisunique
           AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
               WHERE o.option_name = 'deduplicate_items' AND NOT o.option_value::boolean
           ) AS may_share,
           k.*
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN tables AS t ON t.oid = i.indrelid
    CROSS JOIN LATERAL (
        -- an expression has its statistics under the index's own name
        SELECT pg_catalog.bool_and(COALESCE(s.avg_width, x.width) IS NOT NULL) AS known,
               pg_catalog.bool_or(COALESCE(s.null_frac::numeric, x.null_frac) > 0) AS nulls,
               pg_catalog.bool_and(
                   a.atttypid = ANY (
                       ARRAY[16, 20, 21, 23, 25, 26, 1042, 1043, 1082, 1114, 1184, 2950]::oid[]
                   )
                   OR y.typtype = 'e'
               ) AS same_bytes,
               pg_catalog.sum(
                   (1 - COALESCE(s.null_frac::numeric, x.null_frac))
                   * (
                       COALESCE(s.avg_width, x.width)
                       + CASE WHEN a.attlen > 0 AND a.attalign = 'd' AND a.attnum > 1
                              THEN 2 ELSE 0 END
                   )
               ) AS width,
               pg_catalog.max(COALESCE(s.n_distinct::numeric, x.n_distinct)) AS n_distinct
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
        LEFT JOIN columns AS x
            ON x.oid = i.indrelid AND x.attnum = i.indkey[a.attnum - 1] AND x.attnum <> 0
        LEFT JOIN pg_catalog.pg_stats AS s
            ON i.indkey[a.attnum - 1] = 0
           AND s.schemaname = n.nspname
           AND s.tablename = c.relname
           AND s.attname = a.attname
        WHERE a.attrelid = i.indexrelid
    ) AS k
    WHERE i.indisvalid
      -- large: AND (c.relpages >= 128 OR pg_catalog.pg_stat_get_live_tuples(i.indrelid) > 10000)
),
keys AS (
    SELECT e.oid,
           e.size,
           e.rows,
           e.fillfactor,
           w.entry,
           CASE
               WHEN e.may_share AND e.same_bytes AND d.rows_per_value >= 2
               -- a shared entry holds row pointers up to a tenth of a page
               THEN 6 + w.entry / LEAST(
                   d.rows_per_value,
                   GREATEST((p.bytes / 10 - w.entry) / 6, 1)
               )
               ELSE w.entry
           END AS bytes_per_row
    FROM entries AS e
    CROSS JOIN page AS p
    CROSS JOIN LATERAL (
        SELECT 4 + CASE WHEN e.nulls THEN 16 ELSE 8 END
               + 8 * pg_catalog.ceil(e.width / 8) AS entry
    ) AS w
    CROSS JOIN LATERAL (
        SELECT e.rows / NULLIF(
                   CASE WHEN e.n_distinct < 0 THEN -e.n_distinct * e.rows ELSE e.n_distinct END, 0
               ) AS rows_per_value
    ) AS d
    WHERE e.known
      AND e.rows IS NOT NULL
),
btrees AS (
    SELECT k.oid,
           k.size,
           -- leaves; the inner pages above them, 70 percent full; the page that describes the tree
           pg_catalog.ceil(
               v.leaves * (1 + 1 / GREATEST((p.bytes - 40) * 0.7 / k.entry - 1, 1)) + 1
           ) * p.bytes AS needed
    FROM keys AS k
    CROSS JOIN page AS p
    CROSS JOIN LATERAL (
        SELECT pg_catalog.ceil(k.rows * k.bytes_per_row / ((p.bytes - 40) * k.fillfactor)) AS leaves
    ) AS v
),
relations AS (
    SELECT 'table' AS kind, h.oid, h.size, h.needed FROM heaps AS h
    UNION ALL
    SELECT 'index', b.oid, b.size, b.needed FROM btrees AS b
),
sums AS (
    SELECT r.kind,
           COALESCE(pg_catalog.pg_partition_root(r.oid), r.oid) AS root,
           pg_catalog.count(*) AS partitions,
           pg_catalog.sum(r.size)::bigint AS size,
           pg_catalog.sum(GREATEST(r.size - r.needed, 0))::bigint AS bloat
    FROM relations AS r
    GROUP BY 1, 2
)
SELECT s.kind,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind IN ('p', 'I') THEN s.partitions END AS partitions,
       s.size,
       s.bloat,
       pg_catalog.round(100.0 * s.bloat / s.size, 1) AS percent
FROM sums AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE s.size >= 1024 * 1024
  AND s.bloat * 10 >= s.size
ORDER BY s.bloat DESC, relation;
