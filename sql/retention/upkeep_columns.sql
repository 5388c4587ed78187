-- title: what a move of rows out of a partition has to heed: its columns, triggers and what refers to it
-- $1: the oid of the partition.
SELECT ARRAY(
           SELECT pg_catalog.quote_ident(a.attname)
           FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           ORDER BY a.attnum
       ) AS columns,
       ARRAY(
           -- Those that fire on DELETE, of a row or of a statement; how each is enabled.
           SELECT t.tgenabled::text || pg_catalog.quote_ident(t.tgname)
           FROM pg_catalog.pg_trigger AS t
           WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
             AND t.tgtype & 8 <> 0
           ORDER BY t.tgname
       ) AS triggers,
       ARRAY(
           SELECT DISTINCT k.conrelid::pg_catalog.regclass::text
           FROM pg_catalog.pg_constraint AS k
           WHERE k.contype = 'f' AND k.confrelid = c.oid
       ) AS referring,
       ARRAY(
           SELECT r.rulename::text FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid ORDER BY 1
       ) AS rules,
       c.relkind::text AS kind,
       c.relrowsecurity AND c.relforcerowsecurity AS row_security
FROM pg_catalog.pg_class AS c
WHERE c.oid = $1::bigint::oid;
