-- title: what a database holds besides rows, and whether each of it is valid
-- One row an object; members of extensions come with these, and temporary objects are not dumped.
--   relation    OID of the table that it belongs to; NULL for what belongs to none
--   kind        table, view, sequence, index, constraint, trigger, policy, function, type
--   schema, "table", name
--               as pg_dump names it in an archive; a domain's constraint has the domain as table
--   definition  SQL, for what may have the right name and be another thing all the same
--   state       valid, or what is wrong with it
--   bytes       of an index, as the planner knows it: pg_relation_size would wait for a lock
--   dumped      whether pg_dump takes it; the others are what broken-off work has left
-- The names in definitions are whole when search_path is pg_catalog alone.
WITH members AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), schemas AS (
    SELECT oid, nspname
    FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relations AS (
    SELECT c.oid, c.relkind, s.nspname, c.relname
    FROM pg_catalog.pg_class AS c
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
      AND c.relpersistence <> 't'
      AND NOT EXISTS (
          SELECT FROM members AS m
          WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid)
), owned AS (
    SELECT DISTINCT objid AS sequence, refobjid AS relation
    FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND refobjsubid > 0
      AND deptype IN ('a', 'i')
), objects AS (
    SELECT CASE WHEN r.relkind = 'S' THEN o.relation ELSE r.oid END AS relation,
           CASE WHEN r.relkind IN ('r', 'p', 'f') THEN 'table'
                WHEN r.relkind = 'S' THEN 'sequence'
                ELSE 'view' END AS kind,
           r.nspname, NULL::name AS of, r.relname::text AS name,
           CASE WHEN q.seqrelid IS NOT NULL THEN pg_catalog.format(
               '%s start %s increment %s from %s to %s cache %s%s',
               pg_catalog.format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement,
               q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' cycle' END)
           END AS definition,
           'valid' AS state, NULL::bigint AS bytes, true AS dumped
    FROM relations AS r
    LEFT JOIN owned AS o ON o.sequence = r.oid
    LEFT JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = r.oid
    UNION ALL
    SELECT r.oid, 'index', r.nspname, NULL, c.relname,
           pg_catalog.pg_get_indexdef(c.oid),
           CASE WHEN NOT i.indisvalid THEN 'not valid'
                WHEN NOT i.indisready THEN 'not ready'
                ELSE 'valid' END,
           c.relpages * pg_catalog.current_setting('block_size')::bigint,
           i.indisready AND (i.indisvalid OR c.relkind = 'I')
    FROM relations AS r
    JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    UNION ALL
    SELECT r.oid, 'constraint', COALESCE(r.nspname, s.nspname), COALESCE(r.relname, t.typname),
           o.conname,
           pg_catalog.pg_get_constraintdef(o.oid),
           CASE WHEN o.convalidated THEN 'valid' ELSE 'not validated' END, NULL,
           -- A partition's own foreign key comes with its parent's, under any name.
           o.contype <> 'f' OR o.conparentid = 0
    FROM pg_catalog.pg_constraint AS o
    LEFT JOIN relations AS r ON r.oid = o.conrelid
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid = o.contypid AND NOT EXISTS (
        SELECT FROM members AS m
        WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid)
    LEFT JOIN schemas AS s ON s.oid = t.typnamespace
    WHERE o.contype IN ('c', 'f', 'p', 'u', 'x')
      AND (r.oid IS NOT NULL OR s.oid IS NOT NULL)
    UNION ALL
    SELECT r.oid, 'trigger', r.nspname, r.relname, t.tgname,
           pg_catalog.pg_get_triggerdef(t.oid) || CASE t.tgenabled
               WHEN 'D' THEN ' (disabled)'
               WHEN 'R' THEN ' (on replicas)'
               WHEN 'A' THEN ' (always)'
               ELSE '' END,
           'valid', NULL,
           NOT t.tgisinternal AND t.tgparentid = 0
    FROM pg_catalog.pg_trigger AS t
    JOIN relations AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal OR t.tgparentid <> 0
    UNION ALL
    SELECT r.oid, 'policy', r.nspname, r.relname, p.polname, NULL, 'valid', NULL, true
    FROM pg_catalog.pg_policy AS p
    JOIN relations AS r ON r.oid = p.polrelid
    UNION ALL
    SELECT NULL, 'function', s.nspname, NULL,
           pg_catalog.format('%s(%s)', p.proname,
                             pg_catalog.oidvectortypes(p.proargtypes)),
           NULL, 'valid', NULL, true
    FROM pg_catalog.pg_proc AS p
    JOIN schemas AS s ON s.oid = p.pronamespace
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND d.objid = p.oid
          -- 'i': the constructors of a range type
          AND d.deptype IN ('e', 'i'))
    UNION ALL
    SELECT NULL, 'type', s.nspname, NULL, t.typname, NULL, 'valid', NULL, true
    FROM pg_catalog.pg_type AS t
    JOIN schemas AS s ON s.oid = t.typnamespace
    WHERE (t.typtype IN ('b', 'd', 'e', 'r') AND t.typcategory <> 'A'
           OR t.typtype = 'c' AND (SELECT c.relkind = 'c' FROM pg_catalog.pg_class AS c
                                   WHERE c.oid = t.typrelid))
      AND NOT EXISTS (
          SELECT FROM members AS m
          WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid)
)
SELECT relation::bigint, kind, nspname::text AS schema, of::text AS "table", name::text,
       definition, state, bytes, dumped
FROM objects
ORDER BY kind, nspname, of, name;
