-- What a check of the server has to know first: who we are, and where the server's data is.
--
-- :'roles' are predefined roles, as an array literal; `hidden` are those whose rights we lack,
-- between commas. `data_directory` is NULL for whom it is hidden from.
SELECT pg_catalog.quote_ident(current_user) AS user,
       pg_catalog.pg_backend_pid() AS pid,
       (
           SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'data_directory'
       ) AS data_directory,
       (
           SELECT pg_catalog.string_agg(r.name, ',')
           FROM pg_catalog.unnest(:'roles'::text[]) AS r (name)
           WHERE NOT pg_catalog.pg_has_role(current_user, r.name, 'USAGE')
       ) AS hidden;
