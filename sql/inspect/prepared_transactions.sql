-- title: Transactions that were prepared and neither committed nor rolled back
-- advice: They hold their locks and hold back vacuum until COMMIT PREPARED 'gid' or ROLLBACK
--         PREPARED 'gid', in their database: ask the transaction manager first. No session owns
--         them any more.
-- columns: age: interval; xid_age: transactions; relation_locks: count
-- sort: age desc
SELECT p.gid,
       p.database::text AS database,
       p.owner::text AS owner,
       p.prepared,
       pg_catalog.clock_timestamp() - p.prepared AS age,
       pg_catalog.age(p.transaction) AS xid_age,
       (SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_locks AS l
        WHERE l.pid IS NULL
          AND l.locktype = 'relation'
          AND l.virtualtransaction IN (
              SELECT x.virtualtransaction
              FROM pg_catalog.pg_locks AS x
              WHERE x.pid IS NULL
                AND x.locktype = 'transactionid'
                AND x.transactionid = p.transaction)) AS relation_locks
FROM pg_catalog.pg_prepared_xacts AS p
ORDER BY p.prepared, p.gid;
