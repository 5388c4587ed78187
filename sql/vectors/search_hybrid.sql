-- title: the rows that are nearest to a vector and those that match a text, ordered by both
-- :nearest the search by vector · :columns of the result · :key, :embedding, :relation, :where,
-- :document (a tsvector), :tsquery, :distance (from the vector) and :score of the collection;
-- :candidates the rows of each half · :limit of the whole.
WITH nearest AS MATERIALIZED (
    :nearest
), matching AS MATERIALIZED (
    SELECT :columns, :embedding, pg_catalog.ts_rank(:document, :tsquery) AS _rank
    FROM :relation
    WHERE :embedding IS NOT NULL AND :document OPERATOR(pg_catalog.@@) :tsquery AND :where
    ORDER BY _rank DESC
    LIMIT :candidates
), both_halves AS (
    SELECT :columns, _distance,
           CASE WHEN :document OPERATOR(pg_catalog.@@) :tsquery
                THEN pg_catalog.ts_rank(:document, :tsquery) ELSE 0 END AS _rank
    FROM nearest
    UNION ALL
    SELECT :columns, :distance, _rank
    FROM matching
    WHERE :key NOT IN (SELECT :key FROM nearest)
), known AS (
    -- What is farther away than the vector's own half counts as the farthest of it.
    SELECT *,
           (SELECT pg_catalog.max(NULLIF(_distance, 'NaN')) FROM nearest) AS _farthest,
           pg_catalog.min(_distance) OVER () AS _nearest,
           pg_catalog.max(_rank) OVER () AS _best,
           pg_catalog.rank() OVER (ORDER BY _distance) AS _vector_place,
           pg_catalog.rank() OVER (ORDER BY _rank DESC) AS _text_place
    FROM both_halves
)
SELECT :columns, _distance, _rank, :score AS _score, (SELECT pg_catalog.count(*) FROM nearest)
FROM known
-- A vector of zeros has no cosine distance.
WHERE _distance <> 'NaN'
ORDER BY _score DESC, _distance
LIMIT :limit
