-- The last sign of life of each agent that gave one within the window, for databases without a register.
SELECT h.:"heartbeats.agent_column"::text AS agent,
       max(h.:"heartbeats.time_column")::timestamptz AS last_heartbeat
FROM :"heartbeats.table" AS h
WHERE h.:"heartbeats.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
  AND h.:"heartbeats.agent_column" IS NOT NULL
GROUP BY 1;
