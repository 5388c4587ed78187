-- Who keeps VACUUM from removing dead rows: the oldest of the transactions of this database,
-- replication slots, prepared transactions and standbys that send feedback.
--
-- hidden: how many sessions this role may not look into; the holder may be one of them.
WITH holders AS (
    SELECT 'session' AS kind,
           a.pid,
           a.application_name AS name,
           a.state,
           a.xact_start AS since,
           GREATEST(pg_catalog.age(a.backend_xid), pg_catalog.age(a.backend_xmin)) AS age
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.pid <> pg_catalog.pg_backend_pid()
      AND (a.datname = pg_catalog.current_database() OR a.backend_type = 'walsender')
      -- Another VACUUM holds nobody back.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid
      )
    UNION ALL
    SELECT 'replication slot', s.active_pid, s.slot_name, NULL, NULL, pg_catalog.age(s.xmin)
    FROM pg_catalog.pg_replication_slots AS s
    UNION ALL
    SELECT 'prepared transaction', NULL, p.gid, NULL, p.prepared, pg_catalog.age(p.transaction)
    FROM pg_catalog.pg_prepared_xacts AS p
    WHERE p.database = pg_catalog.current_database()
)
SELECT h.kind,
       h.pid,
       h.name,
       h.state,
       pg_catalog.clock_timestamp() - h.since AS age,
       (SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_stat_activity AS a
        WHERE a.datname = pg_catalog.current_database()
          AND a.backend_type IS NULL) AS hidden
FROM (SELECT 1) AS one
LEFT JOIN (SELECT * FROM holders AS o WHERE o.age > 0 ORDER BY o.age DESC, o.since LIMIT 1) AS h
    ON true;
