-- title: what decides how values are written as text, until the end of the transaction
-- The archive and the import must agree on it, whatever role, database or client set.
-- A transaction that takes rows out must be on the server's disk when COMMIT returns,
-- as its file is; a setting stronger than `on` stays.
SELECT pg_catalog.set_config('DateStyle', 'ISO, YMD', true),
       pg_catalog.set_config('IntervalStyle', 'postgres', true),
       pg_catalog.set_config('TimeZone', 'UTC', true),
       pg_catalog.set_config('extra_float_digits', '3', true),
       pg_catalog.set_config('bytea_output', 'hex', true),
       pg_catalog.set_config('xmloption', 'content', true),
       pg_catalog.set_config('array_nulls', 'on', true),
       pg_catalog.set_config('lc_monetary', 'C', true),
       CASE WHEN pg_catalog.current_setting('synchronous_commit') = 'off'
            THEN pg_catalog.set_config('synchronous_commit', 'on', true) END;
