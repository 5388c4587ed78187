-- Every index that is stored (not the parents of partitioned ones), and what stands against or
-- for rebuilding it.
--
-- busy: a session that vacuums, alters or indexes the table right now. In pg_locks, as it shows
-- every session to every role, and REINDEX and CREATE INDEX CONCURRENTLY hold their lock on the
-- table from beginning to end.
-- base: the index that a leftover of REINDEX CONCURRENTLY is named after (with _ccnew or _ccold,
-- the name being cut to 63 bytes), if the table has it.
SELECT i.indexrelid AS oid,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
       i.indrelid AS "table",
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS relation,
       m.amname AS method,
       -- the TOAST tables of catalogs are below as well
       i.indrelid < 16384 AS catalog,
       c.relpersistence = 't' AS temporary,
       i.indisexclusion AS exclusion,
       i.indisvalid AND i.indisready AND i.indislive AS valid,
       pg_catalog.pg_relation_size(i.indexrelid) AS size,
       pg_catalog.pg_tablespace_location(
           CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END
       ) AS tablespace,
       pg_catalog.pg_has_role(c.relowner, 'USAGE')
       OR pg_catalog.has_table_privilege(i.indrelid, 'MAINTAIN') -- server >= 17
           AS permitted,
       c.relname ~ '_cc(new|old)[0-9]*$' AS leftover,
       (
           SELECT pg_catalog.format('%I.%I', n.nspname, b.relname)
           FROM pg_catalog.pg_index AS j
           JOIN pg_catalog.pg_class AS b ON b.oid = j.indexrelid
           WHERE j.indrelid = i.indrelid
             AND j.indexrelid <> i.indexrelid
             AND (b.relname = pg_catalog.regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '')
                  OR (pg_catalog.octet_length(c.relname) >= 60
                      AND pg_catalog.starts_with(
                          b.relname,
                          pg_catalog.regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '')
                      )))
           LIMIT 1
       ) AS base,
       (
           -- 0: a prepared transaction
           SELECT COALESCE(l.pid, 0)
           FROM pg_catalog.pg_locks AS l
           WHERE l.locktype = 'relation'
             AND l.database = d.oid
             AND l.relation = i.indrelid
             AND l.granted
             AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
             AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                            'ExclusiveLock', 'AccessExclusiveLock')
           LIMIT 1
       ) AS busy,
       GREATEST(t.reltuples, 0)::bigint AS rows,
       pg_catalog.pg_stat_get_dead_tuples(i.indrelid) AS dead
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
WHERE c.relkind = 'i'
ORDER BY n.nspname = 'pg_toast', name;
