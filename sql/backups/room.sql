-- How many further connections this role may open: on the server, for the role, to the database.
-- NULL: no limit. Superusers have none of the last two.
SELECT pg_catalog.current_setting('max_connections')::int
       - pg_catalog.current_setting('superuser_reserved_connections')::int
       - COALESCE(pg_catalog.current_setting('reserved_connections', true)::int, 0)
       - (SELECT COALESCE(pg_catalog.sum(s.numbackends), 0)
          FROM pg_catalog.pg_stat_database AS s
          WHERE s.datid <> 0)::int AS server,
       CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
            THEN r.rolconnlimit - (SELECT pg_catalog.count(*)
                                   FROM pg_catalog.pg_stat_activity AS a
                                   WHERE a.usesysid = r.oid)::int
       END AS role,
       CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper
            THEN d.datconnlimit - (SELECT s.numbackends
                                   FROM pg_catalog.pg_stat_database AS s
                                   WHERE s.datid = d.oid)
       END AS database
FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d
WHERE r.rolname = SESSION_USER
  AND d.datname = pg_catalog.current_database();
