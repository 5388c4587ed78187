-- title: Who waits for a lock, below the session that holds it
-- advice: End the root (depth 0): agentdb inspect kill PID, or cancel PID if it is active.
--         blocked_by names every blocker; pid 0 is a prepared transaction: agentdb inspect
--         prepared-transactions.
-- columns: waiting, transaction_age: interval; blocks: sessions that wait below it
-- sort: blocks desc
-- requires: role pg_monitor
WITH RECURSIVE
waiting AS MATERIALIZED (
    SELECT w.pid,
           ARRAY(SELECT DISTINCT b.pid
                 FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b (pid)
                 WHERE b.pid <> w.pid
                 ORDER BY b.pid) AS blockers
    FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks AS l WHERE NOT l.granted) AS w
),
blocked AS MATERIALIZED (
    SELECT w.pid, w.blockers FROM waiting AS w WHERE w.blockers <> '{}'
),
-- Breadth first, so that every session comes once, as near to a root as can be.
-- Who is reached from no root waits in a cycle: there the lowest pid is taken for one.
levels (step, depth, members, seen) AS (
    SELECT 0, 0, r.roots, r.roots
    FROM (SELECT ARRAY(SELECT b.pid
                       FROM blocked AS w CROSS JOIN pg_catalog.unnest(w.blockers) AS b (pid)
                       EXCEPT
                       SELECT w.pid FROM blocked AS w) AS roots) AS r
    UNION ALL
    SELECT l.step + 1,
           CASE WHEN below.pids <> '{}' THEN l.depth + 1 ELSE 0 END,
           next.pids,
           l.seen || next.pids
    FROM levels AS l
    CROSS JOIN LATERAL (
        SELECT ARRAY(SELECT w.pid
                     FROM blocked AS w
                     WHERE w.blockers && l.members AND w.pid <> ALL (l.seen)) AS pids
    ) AS below
    CROSS JOIN LATERAL (
        SELECT CASE WHEN below.pids <> '{}' THEN below.pids
               ELSE ARRAY(SELECT w.pid FROM blocked AS w
                          WHERE w.pid <> ALL (l.seen) ORDER BY w.pid LIMIT 1)
               END AS pids
    ) AS next
    WHERE next.pids <> '{}'
),
nodes AS MATERIALIZED (
    SELECT m.pid,
           l.depth,
           coalesce(w.blockers, '{}') AS blockers,
           CASE WHEN l.depth > 0 THEN
               (SELECT b.pid
                FROM levels AS above
                CROSS JOIN pg_catalog.unnest(above.members) AS b (pid)
                WHERE above.step = l.step - 1 AND b.pid = ANY (w.blockers)
                ORDER BY b.pid
                LIMIT 1)
           END AS parent
    FROM levels AS l
    CROSS JOIN pg_catalog.unnest(l.members) AS m (pid)
    LEFT JOIN blocked AS w ON w.pid = m.pid
),
tree (pid, depth, blockers, path) AS (
    SELECT n.pid, n.depth, n.blockers, ARRAY[n.pid] FROM nodes AS n WHERE n.parent IS NULL
    UNION ALL
    SELECT n.pid, n.depth, n.blockers, t.path || n.pid
    FROM tree AS t
    JOIN nodes AS n ON n.parent = t.pid
),
counted AS MATERIALIZED (
    SELECT t.*,
           (SELECT pg_catalog.count(*) - 1 FROM tree AS below WHERE t.pid = ANY (below.path))
               AS blocks
    FROM tree AS t
)
SELECT pg_catalog.repeat('  ', t.depth) || t.pid AS tree,
       t.pid,
       t.depth,
       t.blockers AS blocked_by,
       t.blocks,
       awaited.locktype AS waits_for,
       awaited.mode,
       coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
                awaited.relation::text) AS relation,
       CASE WHEN awaited.locktype IS NOT NULL THEN
           pg_catalog.clock_timestamp() - coalesce(awaited.since, a.query_start)
       END AS waiting,
       pg_catalog.clock_timestamp() - a.xact_start AS transaction_age,
       CASE WHEN t.pid = 0 THEN 'prepared transaction' ELSE a.state END AS state,
       a.datname AS database,
       a.usename AS role,
       a.application_name AS application,
       pg_catalog.left(
           pg_catalog.btrim(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g')), 100) AS query
FROM counted AS t
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = t.pid
LEFT JOIN LATERAL (
    SELECT l.locktype,
           l.mode,
           l.database,
           l.waitstart AS since, -- server >= 14
           NULL::timestamptz AS since, -- server < 14
           -- Who waits for a row waits for the transaction that changed it, and holds the row's
           -- tuple lock meanwhile: that tells the table.
           coalesce(l.relation, (SELECT held.relation
                                 FROM pg_catalog.pg_locks AS held
                                 WHERE held.pid = l.pid
                                   AND held.locktype = 'tuple'
                                   AND held.granted
                                   AND l.locktype = 'transactionid'
                                 LIMIT 1)) AS relation
    FROM pg_catalog.pg_locks AS l
    WHERE l.pid = t.pid AND NOT l.granted
    LIMIT 1
) AS awaited ON true
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid = awaited.relation
    -- Relations of other databases have no name here; shared ones have database 0.
    AND (awaited.database = 0 OR a.datname = pg_catalog.current_database())
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY (SELECT root.blocks FROM counted AS root WHERE root.pid = t.path[1]) DESC, t.path;
