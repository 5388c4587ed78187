-- title: Time to connect and to get the answer of the first query
-- unit: seconds
-- warning: 1
-- critical: 3
-- source: agentdb: both take milliseconds, so a second is a server or a network in trouble
-- advice: look at the load of the server, and at the network and the pooler in between
-- dig: agentdb config show
SELECT 0 AS value,  -- the time is measured by the client
       'PostgreSQL ' || pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1)
       || CASE WHEN pg_catalog.pg_is_in_recovery() THEN ', a standby' ELSE '' END AS detail;
