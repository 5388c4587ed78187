-- Every table: its size, how far it is from where autovacuum would act, and whether this role may
-- vacuum it.
--
-- Thresholds are autovacuum's own (PostgreSQL documentation, "The Autovacuum Daemon"): a table's
-- storage parameters before the server's settings. A TOAST table counts with its table. Shares:
-- 1 is the threshold itself; NULL: it never acts.
WITH stored AS (
    SELECT c.oid,
           c.relkind,
           GREATEST(c.reltuples::numeric, 0) AS rows,
           1::numeric AS unfrozen, -- server < 18
           CASE WHEN c.relpages > 0 -- server >= 18
                THEN 1 - LEAST(c.relallfrozen, c.relpages)::numeric / c.relpages -- server >= 18
                ELSE 1 END AS unfrozen, -- server >= 18
           pg_catalog.age(c.relfrozenxid)::bigint AS xid_age,
           pg_catalog.mxid_age(c.relminmxid)::bigint AS multixact_age,
           COALESCE(s.n_dead_tup, 0) AS dead,
           COALESCE(s.n_ins_since_vacuum, 0) AS inserted,
           COALESCE(s.n_mod_since_analyze, 0) AS modified,
           COALESCE(s.last_analyze, s.last_autoanalyze) IS NOT NULL AS analyzed,
           (
               SELECT COALESCE(pg_catalog.jsonb_object_agg(p.option_name, p.option_value), '{}')
               FROM pg_catalog.pg_options_to_table(c.reloptions) AS p
           ) AS options
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
    WHERE c.relkind IN ('r', 'm', 't')
),
-- a table's own parameter, otherwise the server's setting; NULL on servers that lack it
parameters AS (
    SELECT t.*,
           (
               SELECT pg_catalog.jsonb_object_agg(
                          n.name,
                          COALESCE(t.options ->> n.name, pg_catalog.current_setting(n.name, true))
                      )
               FROM (
                   VALUES ('autovacuum_vacuum_threshold'),
                          ('autovacuum_vacuum_scale_factor'),
                          ('autovacuum_vacuum_max_threshold'),
                          ('autovacuum_vacuum_insert_threshold'),
                          ('autovacuum_vacuum_insert_scale_factor'),
                          ('autovacuum_analyze_threshold'),
                          ('autovacuum_analyze_scale_factor')
               ) AS n (name)
           ) AS p
    FROM stored AS t
),
thresholds AS (
    SELECT t.*,
           LEAST(
               (t.p ->> 'autovacuum_vacuum_threshold')::numeric
               + (t.p ->> 'autovacuum_vacuum_scale_factor')::numeric * t.rows,
               -- -1 is no limit
               CASE WHEN (t.p ->> 'autovacuum_vacuum_max_threshold')::numeric >= 0
                    THEN (t.p ->> 'autovacuum_vacuum_max_threshold')::numeric END
           )::bigint AS dead_threshold,
           -- -1 is never
           CASE WHEN (t.p ->> 'autovacuum_vacuum_insert_threshold')::numeric >= 0
                THEN (t.p ->> 'autovacuum_vacuum_insert_threshold')::numeric
                     + (t.p ->> 'autovacuum_vacuum_insert_scale_factor')::numeric
                       * t.rows * t.unfrozen
           END::bigint AS insert_threshold,
           ((t.p ->> 'autovacuum_analyze_threshold')::numeric
            + (t.p ->> 'autovacuum_analyze_scale_factor')::numeric * t.rows)::bigint
               AS analyze_threshold,
           -- a table can only lower these two
           LEAST(
               (t.options ->> 'autovacuum_freeze_max_age')::bigint,
               pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint
           ) AS freeze_max_age,
           LEAST(
               (t.options ->> 'autovacuum_multixact_freeze_max_age')::bigint,
               pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint
           ) AS multixact_max_age
    FROM parameters AS t
)
SELECT c.oid,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       c.relkind::text AS kind,
       c.relpersistence = 't' AS temporary,
       n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') AS catalog,
       c.reltoastrelid AS toast,
       CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::oid END AS root,
       -- empty: in the data directory
       pg_catalog.pg_tablespace_location(
           CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END
       ) AS tablespace,
       pg_catalog.pg_total_relation_size(c.oid) AS size,
       pg_catalog.pg_has_role(c.relowner, 'USAGE')
       OR (pg_catalog.pg_has_role(d.datdba, 'USAGE') AND NOT c.relisshared)
       OR pg_catalog.has_table_privilege(c.oid, 'MAINTAIN') -- server >= 17
           AS permitted,
       COALESCE(t.dead, 0) + COALESCE(x.dead, 0) AS dead,
       t.dead_threshold,
       GREATEST(t.dead / CASE t.dead_threshold WHEN 0 THEN 0.5 ELSE t.dead_threshold END,
                x.dead / CASE x.dead_threshold WHEN 0 THEN 0.5 ELSE x.dead_threshold END
       )::float8 AS dead_share,
       t.inserted,
       t.insert_threshold,
       GREATEST(
           t.inserted
           / CASE t.insert_threshold WHEN 0 THEN 0.5 ELSE t.insert_threshold END,
           x.inserted
           / CASE x.insert_threshold WHEN 0 THEN 0.5 ELSE x.insert_threshold END
       )::float8 AS insert_share,
       t.modified,
       t.analyze_threshold,
       -- of an empty table there is nothing to know
       t.analyzed OR pg_catalog.pg_relation_size(c.oid) = 0 AS analyzed,
       GREATEST(t.xid_age, x.xid_age) AS xid_age,
       t.freeze_max_age,
       GREATEST(t.multixact_age, x.multixact_age) AS multixact_age,
       t.multixact_max_age
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
LEFT JOIN thresholds AS t ON t.oid = c.oid
LEFT JOIN thresholds AS x ON x.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'm', 't', 'p')
ORDER BY relation;
