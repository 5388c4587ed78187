-- title: what the server knows of the table of a collection
-- $1: the table as written. One row if there is such a relation, else none.
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS relation,
       c.relkind::text AS kind,
       c.relispartition AS partition,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       pg_catalog.pg_table_size(c.oid) AS bytes,
       (
           -- Of a partitioned table its leaves'; NULL before any of them was analysed.
           SELECT pg_catalog.sum(m.reltuples) FILTER (WHERE m.reltuples >= 0)
           FROM pg_catalog.pg_class AS m
           WHERE m.relkind IN ('r', 'm')
             AND (m.oid = c.oid OR (m.relispartition AND pg_catalog.pg_partition_root(m.oid) = c.oid))
       )::bigint AS rows,
       (
           SELECT pg_catalog.jsonb_agg(
                      pg_catalog.jsonb_build_object(
                          'name', a.attname,
                          'type', pg_catalog.format_type(a.atttypid, NULL),
                          'full_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                          'base', t.typname,
                          'modifier', a.atttypmod,
                          'not_null', a.attnotnull,
                          'generated', a.attgenerated <> '' OR a.attidentity = 'a',
                          'has_default', a.atthasdef OR a.attidentity <> '',
                          'unique', EXISTS (
                              SELECT FROM pg_catalog.pg_index AS i
                              WHERE i.indrelid = a.attrelid
                                AND i.indkey[0] = a.attnum AND i.indnkeyatts = 1
                                AND i.indisunique AND i.indisvalid AND i.indimmediate
                                AND i.indpred IS NULL
                          )
                      )
                      ORDER BY a.attnum
                  )
           FROM pg_catalog.pg_attribute AS a
           JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       ) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1);
