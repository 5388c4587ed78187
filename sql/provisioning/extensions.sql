-- Extensions that the server has or the database uses, with their versions.
--
-- `newest` leaves out versions that are no numbers.
SELECT coalesce(e.extname, a.name)::text AS name,
       e.extversion AS installed,
       n.nspname::text AS schema,
       a.default_version AS available,
       v.newest
FROM pg_catalog.pg_extension AS e
FULL JOIN pg_catalog.pg_available_extensions AS a ON a.name = e.extname
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN LATERAL (
    SELECT x.version
    FROM pg_catalog.pg_available_extension_versions AS x
    WHERE x.name = a.name AND x.version ~ '^\d+(\.\d+)*$'
    ORDER BY pg_catalog.string_to_array(x.version, '.')::numeric[] DESC
    LIMIT 1
) AS v (newest) ON true
ORDER BY 1;
