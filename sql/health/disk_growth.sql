-- title: Growth of the database a day, by its size or by 10 GB if it is smaller
-- unit: share
-- warning: 0.1
-- critical: 0.5
-- source: agentdb: at 10 % a day a database doubles within a week
-- advice: find the table that grows, and shorten its retention or enlarge the disk in time
-- dig: agentdb inspect table-sizes
-- samples: sizes
SELECT pg_catalog.pg_database_size(d.oid) AS bytes,
       c.system_identifier || '-' || d.oid AS database,
       extract(epoch FROM pg_catalog.now()) AS now
FROM pg_catalog.pg_database AS d
CROSS JOIN pg_catalog.pg_control_system() AS c
WHERE d.datname = pg_catalog.current_database();
