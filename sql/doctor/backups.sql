-- title: Backups that agentdb knows of
-- area: infrastructure
-- why: a backup that is missing, old or damaged is found out on the worst day
-- source: agentdb: a backup a day, and two hours to make it in, as agentdb health has it
WITH here AS (
    -- include: health/backups_age
), known AS (
    SELECT b.name, b.verified, h.now::float8 - b.created AS age
    FROM here AS h
    JOIN pg_catalog.jsonb_to_recordset(:backups) AS b (
        name text, database text, system_identifier text, created float8, verified boolean
    ) ON b.database = h.database AND b.system_identifier = h.system_identifier
    ORDER BY b.created DESC
    LIMIT 1
)
SELECT CASE
           WHEN k.name IS NULL AND NOT :backed_up THEN 'warning'
           WHEN k.name IS NULL OR NOT k.verified OR k.age > 180000 THEN 'critical'
           WHEN k.age > 93600 THEN 'warning'
           ELSE 'ok'
       END AS status,
       CASE
           WHEN k.name IS NULL THEN 'no backup of this database is known here'
           ELSE pg_catalog.concat(
               k.name, ', ', pg_catalog.round(k.age::numeric / 3600, 1), ' h old, ',
               CASE k.verified WHEN true THEN 'verified' WHEN false THEN 'its verification FAILED'
                               ELSE 'not verified' END
           )
       END AS value,
       NULL AS sql,
       NULL AS caution,
       'agentdb backup create, from cron; agentdb backup verify --all' AS advice
FROM here
LEFT JOIN known AS k ON true;
