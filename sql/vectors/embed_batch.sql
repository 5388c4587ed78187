-- title: the next rows to be embedded, in the order of their keys
-- Names and conditions in braces are filled in. $1: the last key so far, as text;
-- $2: at most so many rows. Nothing is locked.
SELECT t.{key}::text, t.{text}::text
FROM {table} AS t
WHERE ({wanted}) AND ({where})
  AND t.{text}::text ~ '\S'
  AND ($1::text IS NULL OR t.{key} > $1::text::{key_type})
ORDER BY t.{key}
LIMIT $2::bigint;
