-- title: Indexes that no query uses because their build failed
-- advice: They cost writes and space. Mend the problem of each, then run its statement; not
--         while another session still builds the index.
-- columns: size: bytes; building: a session is building it now
-- sort: size desc
WITH indexes AS (
    SELECT i.indexrelid,
           i.indrelid,
           i.indisunique,
           c.relkind,
           n.nspname,
           c.relname,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
           EXISTS (
               SELECT FROM pg_catalog.pg_stat_progress_create_index AS p
               WHERE p.index_relid = i.indexrelid
           ) AS building,
           pg_catalog.substring(c.relname, '_cc(new|old)[0-9]*$') AS leftover
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
      AND n.nspname !~ '^pg_(temp|toast_temp)'
)
SELECT i.name AS index,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       pg_catalog.pg_relation_size(i.indexrelid) AS size,
       i.building,
       CASE
           WHEN i.building THEN 'is being built'
           WHEN i.relkind = 'I' THEN 'some partition has no valid index attached: create it there, '
                || 'then ALTER INDEX … ATTACH PARTITION'
           WHEN i.leftover = 'new' THEN 'left by a REINDEX CONCURRENTLY that failed'
           WHEN i.leftover = 'old' THEN 'replaced by REINDEX CONCURRENTLY, but not dropped'
           WHEN i.indisunique
           THEN 'CREATE INDEX CONCURRENTLY failed, perhaps on duplicate rows: delete those first'
           ELSE 'CREATE INDEX CONCURRENTLY failed'
       END AS problem,
       CASE
           WHEN i.building OR i.relkind = 'I' THEN NULL
           WHEN i.leftover IS NOT NULL
           THEN pg_catalog.format('DROP INDEX CONCURRENTLY %s;', i.name)
           ELSE pg_catalog.format('REINDEX INDEX CONCURRENTLY %s;', i.name)
       END AS statement
FROM indexes AS i
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
ORDER BY size DESC, index;
