-- title: which of some names are functions of the user's own that may do anything
-- PostgreSQL's own, and what says of itself that it only reads, are left out.
SELECT DISTINCT p.proname::text
FROM pg_catalog.pg_proc AS p
WHERE p.proname = ANY (%(names)s)
  AND p.provolatile = 'v'
  AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace;
