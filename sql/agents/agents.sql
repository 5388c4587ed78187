-- The register of agents, one row an agent; observed_at is the moment of the snapshot.
SELECT a.:"agents.key"::text AS agent,
       a.:"agents.name_column"::text AS name, -- if agents.name_column
       a.:"agents.state_column"::text AS state, -- if agents.state_column
       a.:"agents.state_column"::text = ANY (:'agents.running_states') AS running, -- if agents.state_column
       a.:"agents.state_column"::text = ANY (:'agents.error_states') AS in_error, -- if agents.state_column
       a.:"agents.started_column"::timestamptz AS started_at, -- if agents.started_column
       a.:"agents.stopped_column"::timestamptz AS stopped_at, -- if agents.stopped_column
       a.:"agents.active_column" AS active, -- if agents.active_column
       pg_catalog.now() AS observed_at
FROM :"agents.table" AS a;
