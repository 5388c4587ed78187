-- title: Indexes that another index makes superfluous
-- advice: Run the statement; queries then use the covering index. agentdb inspect index-sizes
--         shows how often each is scanned.
-- columns: size: bytes; kind: duplicate (same table, method, columns, operator classes,
--          collations, order and predicate) or prefix (a B-tree whose columns are the first
--          ones of another); covered_by: the index that stays
-- sort: size desc
WITH indexes AS (
    SELECT i.*,
           c.relkind,
           c.relam,
           c.relispartition,
           n.nspname,
           c.relname,
           a.amname,
           CASE WHEN a.amname <> 'btree' THEN c.reloptions END AS options,
           pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate,
           i.indnullsnotdistinct AS nulls_not_distinct,  -- server >= 15
           false AS nulls_not_distinct,  -- server < 15
           EXISTS (
               SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid
           ) OR i.indisprimary OR i.indisexclusion OR i.indisreplident AS needed,
           (
               -- indkey, indclass, indcollation and indoption count from 0
               SELECT pg_catalog.array_agg(
                          pg_catalog.concat_ws(
                              '/',
                              CASE WHEN i.indkey[p.at] = 0
                                   THEN pg_catalog.pg_get_indexdef(i.indexrelid, p.at + 1, true)
                                   ELSE i.indkey[p.at]::text
                              END,
                              i.indclass[p.at], i.indcollation[p.at], i.indoption[p.at]
                          ) ORDER BY p.at
                      )
               FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS p (at)
           ) AS keys,
           (
               SELECT COALESCE(pg_catalog.array_agg(i.indkey[p.at]::int), '{}')
               FROM pg_catalog.generate_series(i.indnkeyatts::int, i.indnatts - 1) AS p (at)
           ) AS included
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
    WHERE i.indisvalid
      AND i.indisready
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
),
pairs AS (
    SELECT DISTINCT ON (d.indexrelid)
           d.*,
           CASE WHEN d.keys = k.keys AND d.included = k.included THEN 'duplicate'
                ELSE 'prefix'
           END AS kind,
           pg_catalog.format('%I.%I', k.nspname, k.relname) AS covered_by
    FROM indexes AS d
    JOIN indexes AS k
        ON k.indrelid = d.indrelid
       AND k.relam = d.relam
       AND k.indexrelid <> d.indexrelid
       AND k.predicate IS NOT DISTINCT FROM d.predicate
       AND k.options IS NOT DISTINCT FROM d.options
    WHERE NOT d.needed
      -- an index of a partition that belongs to the parent's cannot be dropped alone
      AND NOT d.relispartition
      AND (
          -- the same: the needed one stays, then the unique one, then the older
          (
              d.keys = k.keys
              AND d.included = k.included
              AND (
                  NOT d.indisunique
                  OR (
                      k.indisunique
                      AND (k.indimmediate OR NOT d.indimmediate)
                      AND k.nulls_not_distinct = d.nulls_not_distinct
                  )
              )
              AND (
                  k.needed
                  OR k.relispartition
                  OR (k.indisunique AND NOT d.indisunique)
                  OR k.indexrelid < d.indexrelid
              )
          )
          -- the first columns of another one, which has all that it includes
          OR (
              d.amname = 'btree'
              AND NOT d.indisunique
              AND (d.indnkeyatts < k.indnkeyatts OR d.indnatts < k.indnatts)
              AND k.keys[1:d.indnkeyatts] = d.keys
              AND (k.indkey::int2[])::int[] @> d.included
          )
      )
    ORDER BY d.indexrelid, k.needed DESC, k.indisunique DESC, k.indnatts DESC, k.indexrelid
)
SELECT p.kind,
       pg_catalog.format('%I.%I', p.nspname, p.relname) AS index,
       p.covered_by,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       s.size,
       pg_catalog.format(
           CASE WHEN p.relkind = 'I' THEN 'DROP INDEX %I.%I;'
                ELSE 'DROP INDEX CONCURRENTLY %I.%I;'
           END, p.nspname, p.relname
       ) AS statement
FROM pairs AS p
JOIN pg_catalog.pg_class AS t ON t.oid = p.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.sum(pg_catalog.pg_relation_size(m.oid))::bigint AS size
    FROM (
        SELECT p.indexrelid AS oid
        UNION
        SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = p.indexrelid
    ) AS m
) AS s
ORDER BY s.size DESC, index;
