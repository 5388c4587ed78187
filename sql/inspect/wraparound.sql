-- title: Age of the oldest transaction ids: databases, and the 20 oldest tables of this one
-- advice: Above 100 % of freeze_max_age autovacuum should be at work: see agentdb inspect progress
--         and what holds it back (idle-in-transaction, replication-slots, prepared-transactions).
--         VACUUM (FREEZE) name helps; near 100 % of the limit the server refuses all writes.
-- columns: xid_age: transactions; multixact_age: multixacts; freeze_percent: % of
--          autovacuum_freeze_max_age or autovacuum_multixact_freeze_max_age; limit_percent: % of
--          2^31
-- sort: freeze_percent desc
SELECT o.kind,
       o.name,
       o.xid_age,
       o.multixact_age,
       pg_catalog.round(100 * greatest(o.xid_age / m.freeze_max_age,
                                       o.multixact_age / m.multixact_freeze_max_age), 1)
           AS freeze_percent,
       pg_catalog.round(100.0 * greatest(o.xid_age, o.multixact_age) / 2147483648, 1)
           AS limit_percent
FROM (
    SELECT 'database' AS kind,
           d.datname::text AS name,
           pg_catalog.age(d.datfrozenxid) AS xid_age,
           pg_catalog.mxid_age(d.datminmxid) AS multixact_age
    FROM pg_catalog.pg_database AS d
    UNION ALL
    (SELECT 'table',
            pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
            pg_catalog.age(c.relfrozenxid) AS xid_age,
            pg_catalog.mxid_age(c.relminmxid)
     FROM pg_catalog.pg_class AS c
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 't')
       AND c.relfrozenxid <> '0'
     ORDER BY greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.mxid_age(c.relminmxid)) DESC,
              c.relpages DESC, c.oid DESC
     LIMIT 20)
) AS o
CROSS JOIN (
    SELECT pg_catalog.current_setting('autovacuum_freeze_max_age')::numeric,
           pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::numeric
) AS m (freeze_max_age, multixact_freeze_max_age)
ORDER BY freeze_percent DESC, o.kind, o.name;
