-- title: write embeddings to the rows whose text is still the one that was embedded
-- Names and conditions in braces are filled in. $1: keys, $2: texts, $3: embeddings,
-- all as text. A row that somebody has locked is left out rather than waited for.
WITH made AS (
    SELECT m.key::text::{key_type} AS key, m.text, m.embedding
    FROM ROWS FROM (
        pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])
    ) AS m (key, text, embedding)
),
free AS (
    SELECT t.{key} AS key
    FROM {table} AS t
    JOIN made ON made.key = t.{key} AND made.text = t.{text}::text
    WHERE ({wanted})
    ORDER BY t.{key}
    FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE {table} AS t
SET {embedding} = made.embedding::{embedding_type}
FROM made
JOIN free ON free.key = made.key
WHERE t.{key} = made.key;
