-- title: Installed extensions, and what newer versions the server has
-- advice: ALTER EXTENSION name UPDATE where update_available. No default_version: the server's
--         files of the extension are gone, and what uses it fails; install its package again.
-- sort: update_available desc
SELECT e.extname AS extension,
       n.nspname AS schema,
       e.extversion AS installed_version,
       a.default_version,
       coalesce(v.newest_version, a.default_version) AS newest_version,
       coalesce(e.extversion <> a.default_version, false) AS update_available,
       e.extrelocatable AS relocatable,
       a.comment
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN pg_catalog.pg_available_extensions AS a ON a.name = e.extname
LEFT JOIN LATERAL (
    SELECT x.version
    FROM pg_catalog.pg_available_extension_versions AS x
    WHERE x.name = e.extname AND x.version ~ '^\d+(\.\d+)*$'
    ORDER BY pg_catalog.string_to_array(x.version, '.')::numeric[] DESC
    LIMIT 1
) AS v (newest_version) ON true
ORDER BY a.default_version IS NULL DESC, update_available DESC, e.extname;
