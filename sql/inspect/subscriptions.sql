-- title: Subscriptions to publications of other servers, and their workers
-- advice: No pid: the worker is down, see the server log for its error; ALTER SUBSCRIPTION name
--         ENABLE if it was disabled, REFRESH PUBLICATION after new tables.
-- columns: unprocessed: bytes received and not yet applied or confirmed; message_age,
--          confirmed_age: interval; apply_errors, sync_errors: count
-- sort: unprocessed desc
-- requires: role pg_monitor
SELECT s.subname::text AS subscription,
       d.datname AS database,
       u.subenabled AS enabled,
       s.pid,
       CASE WHEN s.relid IS NOT NULL THEN 'table synchronization'
            -- From 16 on.
            WHEN pg_catalog.to_jsonb(s) ->> 'leader_pid' IS NOT NULL THEN 'parallel apply'
            ELSE 'apply'
       END AS worker,
       -- A relation of another database is a mere OID from here.
       coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
                s.relid::text) AS relation,
       s.received_lsn::text AS received_lsn,
       pg_catalog.pg_wal_lsn_diff(s.received_lsn, s.latest_end_lsn) AS unprocessed,
       pg_catalog.clock_timestamp() - s.last_msg_receipt_time AS message_age,
       pg_catalog.clock_timestamp() - s.latest_end_time AS confirmed_age,
       e.apply_error_count AS apply_errors, -- server >= 15
       e.sync_error_count AS sync_errors -- server >= 15
       NULL::bigint AS apply_errors, NULL::bigint AS sync_errors -- server < 15
FROM pg_catalog.pg_stat_subscription AS s
LEFT JOIN pg_catalog.pg_stat_subscription_stats AS e ON e.subid = s.subid -- server >= 15
LEFT JOIN pg_catalog.pg_subscription AS u
    ON u.oid = s.subid -- server >= 14
    -- Not every role may read pg_subscription.oid there; names are unique in a database alone.
    ON u.subname = s.subname -- server < 14
    AND u.subdbid = (SELECT o.oid FROM pg_catalog.pg_database AS o -- server < 14
                     WHERE o.datname = pg_catalog.current_database()) -- server < 14
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = u.subdbid
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid = s.relid AND d.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY u.subenabled AND s.pid IS NULL DESC NULLS LAST, unprocessed DESC NULLS LAST,
         subscription, s.pid;
