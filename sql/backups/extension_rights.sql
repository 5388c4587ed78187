-- title: the extensions that this role may not create in a new database
-- Parameter: their names.
SELECT e.name::text
FROM pg_catalog.pg_available_extensions AS e
JOIN pg_catalog.pg_available_extension_versions AS v
    ON v.name = e.name AND v.version = e.default_version
WHERE e.name = ANY(%s)
  AND v.superuser
  AND NOT v.trusted
  AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
ORDER BY e.name;
