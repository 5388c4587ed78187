-- title: how many rows are to be embedded, how many characters they have, and how many have no text
-- Names and conditions in braces are filled in. $1: a key as text, only those behind it;
-- $2: at most so many rows.
SELECT pg_catalog.count(*),
       COALESCE(pg_catalog.sum(found.characters), 0)::bigint,
       (
           SELECT pg_catalog.count(*)
           FROM {table} AS t
           WHERE ({wanted}) AND ({where}) AND ($1::text IS NULL OR t.{key} > $1::text::{key_type})
             AND (t.{text}::text ~ '\S') IS NOT TRUE
       )
FROM (
    SELECT pg_catalog.length(t.{text}::text) AS characters
    FROM {table} AS t
    WHERE ({wanted}) AND ({where}) AND ($1::text IS NULL OR t.{key} > $1::text::{key_type})
      AND t.{text}::text ~ '\S'
    LIMIT $2::bigint
) AS found;
