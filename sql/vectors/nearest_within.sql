-- title: of many vectors at once the rows that are at most so far away
-- One scan of the table for all of them: each row is compared with every vector, and nothing is
-- sorted but the few that are near. :vectors: their number, the vector and a distance within which
-- enough rows are known to lie, as VALUES; :distance: that of a row from one of them; :key, :table,
-- :limit: how many rows of each vector are wanted.
SELECT number, key, distance
FROM (
    SELECT q.number,
           t.:key AS key,
           :distance AS distance,
           pg_catalog.row_number() OVER (PARTITION BY q.number ORDER BY :distance) AS place
    FROM :table AS t
    JOIN (VALUES :vectors) AS q (number, vector, bound) ON :distance <= q.bound
) AS within
WHERE place <= :limit;
