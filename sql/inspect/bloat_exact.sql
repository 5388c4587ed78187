-- title: Space that tables and B-tree indexes waste, measured by pgstattuple
-- advice: Dead rows go with VACUUM, and their space is used again; it returns to the
--         disk with VACUUM FULL (blocks the table) or pg_repack. Indexes: REINDEX INDEX
--         CONCURRENTLY. Indexes are read as a whole, tables where VACUUM
--         has not been: it takes a while.
-- columns: size, dead (rows that no one sees), free (unused), bloat (what a rewrite at the
--          fillfactor would save): bytes; percent: bloat of size; fragmentation: percent of leaves
--          out of order; relations of 1 MB and more; empty if this role may not measure
-- sort: bloat desc
-- requires: extension pgstattuple
-- requires: role pg_stat_scan_tables
WITH measure AS (
    -- wherever the extension is, and only if this role may call it
    SELECT p.proname, pg_catalog.format('%I.%I', n.nspname, p.proname) AS name
    FROM pg_catalog.pg_extension AS e
    JOIN pg_catalog.pg_depend AS d
        ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
       AND d.refobjid = e.oid
       AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
       AND d.deptype = 'e'
    JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE e.extname = 'pgstattuple'
      AND (
          p.proname = 'pgstattuple_approx'
          OR (
              p.proname = 'pgstatindex'
              AND p.proargtypes[0] = 'pg_catalog.regclass'::pg_catalog.regtype
          )
      )
      AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
),
relations AS MATERIALIZED (
    SELECT c.oid,
           CASE WHEN c.relkind = 'i' THEN 'index' ELSE 'table' END AS kind,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
           pg_catalog.pg_relation_size(c.oid) AS size,
           COALESCE(
               (
                   SELECT o.option_value::numeric
                   FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
                   WHERE o.option_name = 'fillfactor'
               ),
               CASE WHEN c.relkind = 'i' THEN 90 ELSE 100 END
           ) AS fillfactor
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
    WHERE (
              (c.relkind IN ('r', 'm') AND a.amname = 'heap')
              OR (c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid)
          )
      AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
),
-- the extension's schema is not known beforehand, so the call is composed
documents AS MATERIALIZED (
    SELECT r.*,
           pg_catalog.query_to_xml(
               pg_catalog.format('SELECT * FROM %s(%s::pg_catalog.oid)', m.name, r.oid),
               true, false, ''
           )::text AS document
    FROM relations AS r
    JOIN measure AS m
        ON m.proname = CASE r.kind WHEN 'index' THEN 'pgstatindex' ELSE 'pgstattuple_approx' END
    WHERE r.size >= 1024 * 1024
),
measured AS (
    SELECT d.kind,
           d.relation,
           d.size,
           d.fillfactor,
           pg_catalog.current_setting('block_size')::numeric AS page,
           pg_catalog.substring(d.document, '<dead_tuple_len>([0-9]+)<')::numeric AS dead,
           pg_catalog.substring(d.document, '<approx_free_space>([0-9]+)<')::numeric AS free,
           pg_catalog.substring(d.document, '<leaf_pages>([0-9]+)<')::numeric AS leaves,
           pg_catalog.substring(d.document, '<empty_pages>([0-9]+)<')::numeric
           + pg_catalog.substring(d.document, '<deleted_pages>([0-9]+)<')::numeric AS unused,
           pg_catalog.substring(d.document, '<avg_leaf_density>([0-9.]+)<')::numeric AS density,
           pg_catalog.substring(d.document, '<leaf_fragmentation>([0-9.]+)<')::numeric
               AS fragmentation
    FROM documents AS d
),
wasted AS (
    SELECT m.*,
           CASE m.kind
               WHEN 'table'
               THEN GREATEST(m.size - (m.size - m.dead - m.free) * 100 / m.fillfactor, 0)
               ELSE m.unused * m.page
                    + COALESCE(m.leaves * m.page * GREATEST(1 - m.density / m.fillfactor, 0), 0)
           END::bigint AS bloat,
           COALESCE(
               m.free,
               m.unused * m.page + COALESCE(m.leaves * (m.page - 40) * (100 - m.density) / 100, 0)
           )::bigint AS all_free
    FROM measured AS m
)
SELECT w.kind,
       w.relation,
       w.size,
       w.dead::bigint AS dead,
       w.all_free AS free,
       w.bloat,
       pg_catalog.round(100.0 * w.bloat / w.size, 1) AS percent,
       w.fragmentation
FROM wasted AS w
ORDER BY w.bloat DESC NULLS LAST, w.size DESC, w.relation;
