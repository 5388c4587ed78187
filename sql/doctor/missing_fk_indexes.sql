-- title: Foreign keys without an index
-- area: performance
-- none: each has one, or its table is small
-- why: deleting a row that others refer to reads their whole table each time: purge becomes slow
-- source: https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK; agentdb: tables from 1 MB on
WITH missing AS (
    -- include: inspect/missing_fk_indexes
)
SELECT 'warning' AS status,
       pg_catalog.format(
           '%s (%s), %s', m.relation, m.columns, pg_catalog.pg_size_pretty(m.size)
       ) AS value,
       pg_catalog.rtrim(m.statement, ';') AS sql,
       CASE WHEN m.statement NOT LIKE 'CREATE INDEX CONCURRENTLY %'
            THEN 'locks the partitioned table against writing while it is built' END AS caution
FROM missing AS m
WHERE m.size >= 1048576
ORDER BY m.size DESC, 2;
