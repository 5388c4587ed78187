-- title: which locks a session holds now on relations that were there before, or waits for
SELECT k.name, l.mode
FROM pg_catalog.pg_locks AS l
JOIN agentdb_rehearsal.known AS k USING (relation)
WHERE l.pid = %s
  AND l.locktype = 'relation'
  AND k.kind NOT IN ('i', 'I');
