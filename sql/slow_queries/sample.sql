-- One look at what the clients' sessions run at this moment; in one database, or in all for NULL.
-- Parallel workers are left out: their time is within that of the session they work for.
-- The function is what the view pg_stat_activity reads; the view's joins would double the cost.
-- Without pg_read_all_stats the state and the text of other roles' sessions are hidden.
SELECT a.pid,
       extract(epoch FROM a.query_start)::double precision AS started,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::double precision AS age,
       a.query_id, -- has query_id
       NULL::bigint AS query_id, -- lacks query_id
       a.state,
       a.wait_event_type,
       a.wait_event,
       (SELECT d.datname FROM pg_catalog.pg_database AS d WHERE d.oid = a.datid) AS database,
       pg_catalog.pg_get_userbyid(a.usesysid) AS role,
       a.application_name AS application,
       a.query
FROM pg_catalog.pg_stat_get_activity(NULL) AS a
WHERE a.pid <> pg_catalog.pg_backend_pid()
  AND (a.state IN ('active', 'fastpath function call', 'disabled')
       OR (a.state IS NULL AND a.query = '<insufficient privilege>' AND a.datid IS NOT NULL
           AND a.usesysid IS NOT NULL))
  AND (a.backend_type = 'client backend' OR a.backend_type IS NULL)
  AND NOT pg_catalog.starts_with(a.application_name, 'agentdb ')
  AND (%s::oid IS NULL OR a.datid = %s::oid);
