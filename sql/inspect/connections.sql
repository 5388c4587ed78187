-- title: Connections by database, role, application and state, and how near to the limits
-- advice: Near 100 % of max_connections, put a pooler (PgBouncer) in front or make the pools
--         smaller; ALTER ROLE or ALTER DATABASE name CONNECTION LIMIT n keeps one client from
--         taking all.
-- columns: percent, total_percent: % of max_connections; database_percent, role_percent: % of the
--          connection limit of the database or role; oldest: interval
-- sort: connections desc
-- requires: role pg_monitor
SELECT s.database,
       s.role,
       s.application,
       s.state,
       s.connections,
       pg_catalog.round(100.0 * s.connections / m.max_connections, 1) AS percent,
       pg_catalog.round(
           100.0 * pg_catalog.sum(s.connections) OVER () / m.max_connections, 1) AS total_percent,
       m.max_connections,
       pg_catalog.round(
           100.0 * pg_catalog.sum(s.connections) OVER (PARTITION BY s.database)
           / nullif(greatest(d.datconnlimit, 0), 0), 1) AS database_percent,
       nullif(d.datconnlimit, -1) AS database_limit,
       pg_catalog.round(
           100.0 * pg_catalog.sum(s.connections) OVER (PARTITION BY s.role)
           / nullif(greatest(r.rolconnlimit, 0), 0), 1) AS role_percent,
       nullif(r.rolconnlimit, -1) AS role_limit,
       s.oldest
FROM (
    SELECT a.datname AS database,
           a.usename AS role,
           a.application_name AS application,
           a.state,
           pg_catalog.count(*) AS connections,
           pg_catalog.clock_timestamp() - pg_catalog.min(a.backend_start) AS oldest
    FROM pg_catalog.pg_stat_activity AS a
    -- Without pg_monitor the type of another role's session is hidden.
    WHERE a.backend_type = 'client backend'
       OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL)
    GROUP BY a.datname, a.usename, a.application_name, a.state
) AS s
CROSS JOIN (SELECT pg_catalog.current_setting('max_connections')::integer) AS m (max_connections)
LEFT JOIN pg_catalog.pg_database AS d ON d.datname = s.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = s.role
ORDER BY s.connections DESC, s.database, s.role, s.application, s.state;
