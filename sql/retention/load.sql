-- title: how busy the server is, and how far its replicas lag behind
SELECT (
           SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))
           FROM pg_catalog.pg_stat_replication AS r
       )::bigint AS lag_bytes,
       -- Without pg_monitor the positions of standbys are NULL, which is not the same as none.
       EXISTS (
           SELECT FROM pg_catalog.pg_stat_replication AS r WHERE r.pid IS NOT NULL AND r.replay_lsn IS NULL
       ) AS lag_hidden,
       (
           SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
           WHERE a.state = 'active'
             AND a.backend_type = 'client backend'
             AND a.pid <> pg_catalog.pg_backend_pid()
       )::int AS active,
       (SELECT num_requested FROM pg_catalog.pg_stat_checkpointer)::bigint AS checkpoints, -- server >= 17
       (SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter)::bigint AS checkpoints, -- server < 17
       LOCALTIME(0) AS clock;
