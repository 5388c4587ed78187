-- title: which locks a rehearsed file held before it was committed
-- The strongest of each relation; an index has a row only if its table is not locked as strongly.
WITH modes AS (
    SELECT mode, strength
    FROM pg_catalog.unnest(ARRAY[
        'AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock',
        'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
    ]) WITH ORDINALITY AS m (mode, strength)
), strongest AS (
    SELECT h.relation, pg_catalog.max(m.strength) AS strength
    FROM agentdb_rehearsal.held AS h
    JOIN modes AS m USING (mode)
    GROUP BY h.relation
)
SELECT k.name, m.mode
FROM strongest AS s
JOIN modes AS m USING (strength)
JOIN agentdb_rehearsal.known AS k USING (relation)
LEFT JOIN strongest AS t ON t.relation = k.of_table
WHERE k.kind NOT IN ('i', 'I') OR coalesce(t.strength, 0) < s.strength
ORDER BY s.strength DESC, k.name;
