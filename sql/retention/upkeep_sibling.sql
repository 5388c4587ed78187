-- title: what a partition has of its own, which a new one beside it must be given
-- $1: its oid. `own`: what is not carried over.
SELECT c.relpersistence = 'u' AS unlogged,
       (SELECT am.amname FROM pg_catalog.pg_am AS am WHERE am.oid = c.relam) AS access_method,
       (SELECT s.spcname FROM pg_catalog.pg_tablespace AS s WHERE s.oid = c.reltablespace) AS tablespace,
       ARRAY(
           SELECT pg_catalog.regexp_replace(o, '^([^=]*)=(.*)$', $$\1='\2'$$)
           FROM unnest(c.reloptions) AS o
           UNION ALL
           SELECT pg_catalog.regexp_replace(o, '^([^=]*)=(.*)$', $$toast.\1='\2'$$)
           FROM pg_catalog.pg_class AS t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid
       ) AS options,
       c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS forced,
       c.relreplident::text AS replica_identity,
       (
           SELECT i.inhparent::bigint
           FROM pg_catalog.pg_index AS x
           JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = x.indexrelid
           WHERE x.indrelid = c.oid AND x.indisreplident
       ) AS identity_index,
       ARRAY(
           SELECT pg_catalog.format(
                      'GRANT %s ON TABLE %%s TO %s%s', pg_catalog.string_agg(g.privilege_type, ', '),
                      CASE WHEN g.grantee = 0 THEN 'PUBLIC'
                           ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                      CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
           FROM pg_catalog.aclexplode(c.relacl) AS g
           WHERE g.grantee <> c.relowner
           GROUP BY g.grantee, g.is_grantable
       ) AS grants,
       ARRAY(
           SELECT 'index ' || ic.relname
           FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS ic ON ic.oid = x.indexrelid
           WHERE x.indrelid = c.oid AND NOT ic.relispartition
           UNION ALL
           SELECT 'constraint ' || k.conname
           FROM pg_catalog.pg_constraint AS k
           WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f') AND k.conparentid = 0 AND k.coninhcount = 0
           UNION ALL
           SELECT 'trigger ' || t.tgname
           FROM pg_catalog.pg_trigger AS t
           WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0
           UNION ALL
           SELECT 'policy ' || l.polname FROM pg_catalog.pg_policy AS l WHERE l.polrelid = c.oid
           UNION ALL
           SELECT 'publication ' || b.pubname
           FROM pg_catalog.pg_publication_rel AS r JOIN pg_catalog.pg_publication AS b ON b.oid = r.prpubid
           WHERE r.prrelid = c.oid
       ) AS own
FROM pg_catalog.pg_class AS c
WHERE c.oid = $1::bigint::oid;
