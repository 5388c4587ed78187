-- title: Age of the newest backup of this database
-- unit: seconds
-- warning: 93600
-- critical: 180000
-- source: agentdb: a backup a day, and two hours to make it in
-- advice: agentdb backup create, from cron
-- dig: agentdb backup list
-- catalog: backups
SELECT c.system_identifier::text AS system_identifier,
       pg_catalog.current_database() AS database,
       extract(epoch FROM pg_catalog.now()) AS now
FROM pg_catalog.pg_control_system() AS c;
