-- title: Replay lag: of the slowest standby, and of this server if it is one
-- unit: seconds
-- warning: 30
-- critical: 300
-- source: readers of a standby see data of that age
-- advice: look at the standby's load, network and long queries, and whether its replay is paused
-- dig: agentdb inspect replication
-- requires: role pg_monitor
WITH standbys AS (
    SELECT count(*) AS number,
           max(extract(epoch FROM replay_lag)) AS lag,
           (pg_catalog.array_agg(application_name ORDER BY replay_lag DESC NULLS LAST))[1] AS slowest
    FROM pg_catalog.pg_stat_replication
), here AS (  -- a standby is up to date if it receives WAL and has replayed all of it
    SELECT pg_catalog.pg_is_in_recovery() AS standby,
           EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) AS receiving,
           extract(epoch FROM pg_catalog.now() - pg_catalog.pg_last_xact_replay_timestamp()) AS age,
           pg_catalog.pg_last_wal_replay_lsn() >= pg_catalog.pg_last_wal_receive_lsn() AS replayed
)
SELECT CASE
           WHEN h.standby AND NOT (h.receiving AND coalesce(h.replayed, FALSE)) THEN greatest(h.age, s.lag)
           ELSE coalesce(s.lag, 0)
       END::float8 AS value,
       CASE
           WHEN NOT h.standby THEN ''
           WHEN pg_catalog.pg_is_wal_replay_paused() THEN 'this standby: replay is paused; '
           WHEN NOT h.receiving THEN 'this standby: it receives no WAL; '
           WHEN h.age IS NULL THEN 'this standby: nothing replayed since its start; '
           ELSE 'this standby; '
       END
       || CASE s.number
              WHEN 0 THEN CASE WHEN h.standby THEN 'none behind it' ELSE 'no standby' END
              ELSE 'the slowest of ' || s.number || ': ' || coalesce(s.slowest, '')
          END AS detail
FROM standbys AS s
CROSS JOIN here AS h;
