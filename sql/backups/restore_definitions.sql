-- title: tables, indexes, constraints, triggers, views and sequences, and whether each is valid
-- One row an object:
--   kind    table, index, constraint, trigger, view, sequence
--   label   schema and name as an archive of pg_dump lists it; constraints and triggers have their
--           table's name before their own, line breaks are spaces
--   state   valid, or what is wrong with it
WITH objects AS (
    SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 'table'
                WHEN c.relkind IN ('i', 'I') THEN 'index'
                WHEN c.relkind = 'S' THEN 'sequence'
                ELSE 'view' END AS kind,
           n.nspname || ' ' || c.relname AS label,
           CASE WHEN NOT i.indisvalid THEN 'not valid'
                WHEN NOT i.indisready THEN 'not ready'
                ELSE 'valid' END AS state
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'i', 'I', 'S', 'v', 'm')
    UNION ALL
    SELECT 'constraint',
           n.nspname || ' ' || COALESCE(c.relname || ' ', '') || o.conname,
           CASE WHEN o.convalidated THEN 'valid' ELSE 'not validated' END
    FROM pg_catalog.pg_constraint AS o
    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.connamespace
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = o.conrelid
    UNION ALL
    SELECT 'trigger',
           n.nspname || ' ' || c.relname || ' ' || t.tgname,
           'valid'
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
)
SELECT kind, pg_catalog.translate(label, E'\n\r', '  '), state
FROM objects
WHERE label !~ '^(pg_catalog|information_schema|pg_toast) ';
