-- title: Foreign keys whose columns no index starts with
-- advice: Each DELETE or key UPDATE of a referenced row then reads the whole referencing
--         table. Run the statement, unless referenced rows are never deleted.
-- columns: rows: of the referencing table, estimated; size: its bytes without indexes
-- sort: size desc
WITH keys AS (
    SELECT k.conname,
           k.conrelid,
           k.confrelid,
           k.confdeltype,
           k.conkey,
           c.relkind,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
           (
               SELECT pg_catalog.string_agg(
                          pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.place
                      )
               FROM ROWS FROM (pg_catalog.unnest(k.conkey)) WITH ORDINALITY AS u (attnum, place)
               JOIN pg_catalog.pg_attribute AS a
                   ON a.attrelid = k.conrelid AND a.attnum = u.attnum
           ) AS columns
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f'
      -- large: AND (c.relkind = 'p' OR c.relpages >= 128 OR pg_catalog.pg_stat_get_live_tuples(c.oid) > 10000)
      -- those of partitions follow from the parent's
      AND k.conparentid = 0
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
),
missing AS (
    SELECT k.*
    FROM keys AS k
    WHERE NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
        WHERE i.indrelid = k.conrelid
          AND i.indisvalid
          AND (a.amname = 'btree' OR (a.amname = 'hash' AND i.indnkeyatts = 1))
          AND i.indnkeyatts >= pg_catalog.cardinality(k.conkey)
          -- the first columns in any order; int2vector counts from 0
          AND (i.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey
          -- NULL references nothing, so an index without NULLs will do
          AND (
              i.indpred IS NULL
              OR pg_catalog.pg_get_expr(i.indpred, i.indrelid)
                 = pg_catalog.format('(%s IS NOT NULL)', k.columns)
          )
    )
)
SELECT m.relation,
       pg_catalog.quote_ident(m.conname) AS constraint,
       m.columns,
       pg_catalog.format('%I.%I', rn.nspname, r.relname) AS referenced,
       CASE m.confdeltype
           WHEN 'a' THEN 'NO ACTION'
           WHEN 'r' THEN 'RESTRICT'
           WHEN 'c' THEN 'CASCADE'
           WHEN 'n' THEN 'SET NULL'
           WHEN 'd' THEN 'SET DEFAULT'
       END AS on_delete,
       s.rows,
       s.size,
       pg_catalog.format(
           CASE WHEN m.relkind = 'p' THEN 'CREATE INDEX ON %s (%s);'
                ELSE 'CREATE INDEX CONCURRENTLY ON %s (%s);'
           END, m.relation, m.columns
       ) AS statement
FROM missing AS m
JOIN pg_catalog.pg_class AS r ON r.oid = m.confrelid
JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.relnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE members AS (
        SELECT m.conrelid AS oid
        UNION ALL
        SELECT i.inhrelid
        FROM members AS p
        JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
        WHERE m.relkind = 'p'
    )
    SELECT pg_catalog.sum(c.reltuples) FILTER (
               WHERE c.reltuples >= 0 AND c.relpages > 0 AND c.relkind = 'r'
           )::bigint AS rows,
           pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::bigint AS size
    FROM members AS p
    JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
) AS s
ORDER BY s.size DESC, m.relation, m.conname;
