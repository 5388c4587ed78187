-- What can be known of pg_stat_statements here, and of this server. One row.
-- pg_settings has the module's settings only where the module is loaded.
SELECT (SELECT n.nspname
        FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements') AS schema,
       (SELECT e.extversion
        FROM pg_catalog.pg_extension AS e
        WHERE e.extname = 'pg_stat_statements') AS version,
       EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS a
               WHERE a.name = 'pg_stat_statements') AS installed,
       (SELECT pg_catalog.jsonb_object_agg(s.name, s.setting)
        FROM pg_catalog.pg_settings AS s
        WHERE s.name IN ('pg_stat_statements.max', 'pg_stat_statements.track',
                         'pg_stat_statements.track_planning', 'compute_query_id',
                         'track_io_timing', 'track_activity_query_size')) AS settings,
       pg_catalog.current_database() AS database,
       (SELECT d.oid::bigint FROM pg_catalog.pg_database AS d
        WHERE d.datname = pg_catalog.current_database()) AS database_oid,
       current_user AS role,
       pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all,
       pg_catalog.concat_ws(
           ' ', pg_catalog.host(pg_catalog.inet_server_addr()),
           (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'port'),
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' END) AS instance;
