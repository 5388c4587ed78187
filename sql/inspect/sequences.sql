-- title: Sequences that have used half of their values or more, or of their column's type
-- advice: INSERT fails at 100 %. Widen the column in a migration: ALTER TABLE ... ALTER COLUMN ...
--         TYPE bigint rewrites the table; and ALTER SEQUENCE name AS bigint, NO MAXVALUE.
-- columns: percent: % used of what sequence and column can hold; remaining: values
-- sort: percent desc
SELECT s.sequence,
       s.column_name AS "column",
       s.column_type,
       s.data_type,
       s.last_value,
       s.limit_value AS "limit",
       pg_catalog.round(s.used * 100, 2) AS percent,
       greatest(pg_catalog.trunc((s.limit_value - s.last_value) / s.increment_by), 0)
           AS remaining,
       s.cycle
FROM (
    SELECT q.*,
           (q.last_value - q.first_value) / nullif(q.limit_value - q.first_value, 0) AS used
    FROM (
        SELECT pg_catalog.quote_ident(p.schemaname) || '.'
                   || pg_catalog.quote_ident(p.sequencename) AS sequence,
               u.table_name || '.' || pg_catalog.quote_ident(u.column_name) AS column_name,
               pg_catalog.format_type(u.type, NULL) AS column_type,
               pg_catalog.format_type(p.data_type, NULL) AS data_type,
               p.last_value::numeric AS last_value,
               p.increment_by,
               p.cycle,
               CASE WHEN p.increment_by > 0 THEN p.min_value ELSE p.max_value END::numeric
                   AS first_value,
               CASE WHEN p.increment_by > 0 THEN least(p.max_value, u.highest)
                    ELSE greatest(p.min_value, -u.highest - 1)
               END::numeric AS limit_value
        FROM pg_catalog.pg_sequences AS p
        JOIN pg_catalog.pg_namespace AS n ON n.nspname = p.schemaname
        JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.sequencename
        LEFT JOIN LATERAL (
            SELECT pg_catalog.quote_ident(tn.nspname) || '.'
                       || pg_catalog.quote_ident(t.relname) AS table_name,
                   f.attname AS column_name,
                   f.atttypid AS type,
                   CASE f.atttypid
                       WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
                       WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647
                       WHEN 'pg_catalog.int8'::pg_catalog.regtype THEN 9223372036854775807
                   END::numeric AS highest
            FROM (
                -- Of serial and identity columns, then of columns whose default calls nextval.
                SELECT o.refobjid AS relation, o.refobjsubid AS number
                FROM pg_catalog.pg_depend AS o
                WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND o.objid = c.oid
                  AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND o.refobjsubid > 0
                  AND o.deptype IN ('a', 'i')
                UNION
                SELECT x.adrelid, x.adnum
                FROM pg_catalog.pg_depend AS o
                JOIN pg_catalog.pg_attrdef AS x ON x.oid = o.objid
                WHERE o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                  AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND o.refobjid = c.oid
            ) AS k
            JOIN pg_catalog.pg_attribute AS f
                ON f.attrelid = k.relation AND f.attnum = k.number AND NOT f.attisdropped
            JOIN pg_catalog.pg_class AS t ON t.oid = k.relation
            JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
            ORDER BY highest NULLS LAST, t.relname
            LIMIT 1
        ) AS u ON true
        -- It is null where this role may not read the sequence, and before its first value.
        WHERE p.last_value IS NOT NULL
    ) AS q
) AS s
WHERE s.used >= 0.5
ORDER BY percent DESC, s.sequence;
