-- title: What autovacuum would do next, and how far each table is from it
-- advice: Tables that stay above a threshold wait for a worker, or autovacuum is off for them:
--         VACUUM them, or ALTER TABLE … SET (autovacuum_vacuum_scale_factor = 0.05) on
--         large ones. needs_freeze is urgent: it cannot be switched off, and a transaction ID
--         age near 2 billion stops all writes.
-- columns: n_dead_tup, n_ins_since_vacuum, n_mod_since_analyze: rows, estimated, each with the
--          threshold above which autovacuum acts (none: never); relfrozenxid_age: transactions;
--          percent: of the freeze threshold; partitions: how many are summed up, each being
--          judged alone
-- sort: needs_freeze desc
WITH tables AS (
    SELECT c.oid,
           COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid) AS root,
           GREATEST(c.reltuples::numeric, 0) AS rows,
           1::numeric AS unfrozen,  -- server < 18
           CASE WHEN c.relpages > 0 THEN 1 - LEAST(c.relallfrozen, c.relpages)::numeric / c.relpages ELSE 1 END AS unfrozen,  -- server >= 18
           GREATEST(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid)) AS xid_age,
           GREATEST(
               pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid)
           ) AS multixact_age,
           s.n_dead_tup,
           s.n_ins_since_vacuum,
           s.n_mod_since_analyze,
           s.last_vacuum,
           s.last_autovacuum,
           s.last_analyze,
           s.last_autoanalyze,
           o.*
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
    LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
    CROSS JOIN LATERAL (
        -- what the table sets itself
        SELECT pg_catalog.jsonb_object_agg(p.option_name, p.option_value)
                   FILTER (WHERE p.option_name IS NOT NULL) AS options
        FROM pg_catalog.pg_options_to_table(c.reloptions) AS p
    ) AS o
    WHERE c.relkind IN ('r', 'm')
      AND c.relpersistence <> 't'
),
-- a table's own parameter, otherwise the server's setting; NULL on servers that lack it
parameters AS (
    SELECT t.*,
           COALESCE(t.options ->> 'autovacuum_enabled', 'on')::boolean
           AND pg_catalog.current_setting('autovacuum')::boolean
           AND pg_catalog.current_setting('track_counts')::boolean AS autovacuum,
           v.value AS parameter
    FROM tables AS t
    CROSS JOIN LATERAL (
        SELECT pg_catalog.jsonb_object_agg(
                   n.name,
                   COALESCE(
                       t.options ->> n.name,
                       pg_catalog.current_setting(n.name, true)
                   )
               ) AS value
        FROM (
            VALUES ('autovacuum_vacuum_threshold'),
                   ('autovacuum_vacuum_scale_factor'),
                   ('autovacuum_vacuum_max_threshold'),
                   ('autovacuum_vacuum_insert_threshold'),
                   ('autovacuum_vacuum_insert_scale_factor'),
                   ('autovacuum_analyze_threshold'),
                   ('autovacuum_analyze_scale_factor')
        ) AS n (name)
    ) AS v
),
thresholds AS (
    SELECT p.*,
           LEAST(
               (p.parameter ->> 'autovacuum_vacuum_threshold')::numeric
               + (p.parameter ->> 'autovacuum_vacuum_scale_factor')::numeric * p.rows,
               -- -1 is no limit
               CASE WHEN (p.parameter ->> 'autovacuum_vacuum_max_threshold')::numeric >= 0
                    THEN (p.parameter ->> 'autovacuum_vacuum_max_threshold')::numeric
               END
           ) AS vacuum_threshold,
           -- -1 is never
           CASE WHEN (p.parameter ->> 'autovacuum_vacuum_insert_threshold')::numeric >= 0
                THEN (p.parameter ->> 'autovacuum_vacuum_insert_threshold')::numeric
                     + (p.parameter ->> 'autovacuum_vacuum_insert_scale_factor')::numeric
                       * p.rows * p.unfrozen
           END AS insert_threshold,
           (p.parameter ->> 'autovacuum_analyze_threshold')::numeric
           + (p.parameter ->> 'autovacuum_analyze_scale_factor')::numeric * p.rows
               AS analyze_threshold,
           -- a table can only lower these two
           LEAST(
               (p.options ->> 'autovacuum_freeze_max_age')::bigint,
               pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint
           ) AS freeze_max_age,
           LEAST(
               (p.options ->> 'autovacuum_multixact_freeze_max_age')::bigint,
               pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint
           ) AS multixact_freeze_max_age
    FROM parameters AS p
),
sums AS (
    SELECT t.root,
           pg_catalog.count(*) AS partitions,
           COALESCE(
               pg_catalog.bool_or(
                   t.xid_age > t.freeze_max_age OR t.multixact_age > t.multixact_freeze_max_age
               ), false
           ) AS needs_freeze,
           COALESCE(
               pg_catalog.bool_or(
                   t.n_dead_tup > t.vacuum_threshold
                   OR COALESCE(t.n_ins_since_vacuum > t.insert_threshold, false)
               ), false
           ) AS needs_vacuum,
           COALESCE(
               pg_catalog.bool_or(t.n_mod_since_analyze > t.analyze_threshold), false
           ) AS needs_analyze,
           pg_catalog.bool_and(t.autovacuum) AS autovacuum,
           pg_catalog.sum(t.n_dead_tup)::bigint AS n_dead_tup,
           pg_catalog.sum(t.vacuum_threshold)::bigint AS vacuum_threshold,
           pg_catalog.sum(t.n_ins_since_vacuum)::bigint AS n_ins_since_vacuum,
           pg_catalog.sum(t.insert_threshold)::bigint AS insert_threshold,
           pg_catalog.sum(t.n_mod_since_analyze)::bigint AS n_mod_since_analyze,
           pg_catalog.sum(t.analyze_threshold)::bigint AS analyze_threshold,
           pg_catalog.max(t.xid_age) AS relfrozenxid_age,
           pg_catalog.round(
               pg_catalog.max(
                   100.0 * GREATEST(
                       t.xid_age::numeric / NULLIF(t.freeze_max_age, 0),
                       t.multixact_age::numeric / NULLIF(t.multixact_freeze_max_age, 0)
                   )
               ), 1
           ) AS percent,
           pg_catalog.max(t.last_vacuum) AS last_vacuum,
           pg_catalog.max(t.last_autovacuum) AS last_autovacuum,
           pg_catalog.max(t.last_analyze) AS last_analyze,
           pg_catalog.max(t.last_autoanalyze) AS last_autoanalyze
    FROM thresholds AS t
    GROUP BY t.root
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       CASE WHEN c.relkind = 'p' THEN s.partitions END AS partitions,
       s.needs_freeze,
       s.needs_vacuum,
       s.needs_analyze,
       s.autovacuum,
       s.n_dead_tup,
       s.vacuum_threshold,
       s.n_ins_since_vacuum,
       s.insert_threshold,
       s.n_mod_since_analyze,
       s.analyze_threshold,
       s.relfrozenxid_age,
       s.percent,
       s.last_vacuum,
       s.last_autovacuum,
       s.last_analyze,
       s.last_autoanalyze
FROM sums AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.root
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY s.needs_freeze DESC, s.needs_vacuum DESC, s.needs_analyze DESC, s.n_dead_tup DESC,
         s.percent DESC, relation;
