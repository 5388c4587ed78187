-- title: Databases by size
-- advice: agentdb inspect table-sizes shows what fills this one; delete what is past
--         its retention. DROP DATABASE what nobody connects to any more.
-- columns: size: bytes; percent: % of all databases; connections: count
-- sort: size desc
-- requires: role pg_monitor
SELECT s.database,
       s.owner,
       s.tablespace,
       s.size,
       pg_catalog.round(100.0 * s.size / nullif(pg_catalog.sum(s.size) OVER (), 0), 1) AS percent,
       s.connections,
       s.encoding,
       s.allows_connections
FROM (
    SELECT d.datname AS database,
           pg_catalog.pg_get_userbyid(d.datdba) AS owner,
           t.spcname AS tablespace,
           -- It fails for a role that may neither connect nor read all statistics.
           CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                  OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                THEN pg_catalog.pg_database_size(d.oid)
           END AS size,
           pg_catalog.pg_stat_get_db_numbackends(d.oid) AS connections,
           pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
           d.datallowconn AS allows_connections
    FROM pg_catalog.pg_database AS d
    LEFT JOIN pg_catalog.pg_tablespace AS t ON t.oid = d.dattablespace
) AS s
ORDER BY s.size DESC NULLS LAST, s.database;
