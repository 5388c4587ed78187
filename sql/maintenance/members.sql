-- The stored indexes that a table or index means: its own, its partitions' and its TOAST table's.
WITH RECURSIVE members AS (
    SELECT %(relation)s::oid AS oid
    UNION
    SELECT h.inhrelid
    FROM members AS m
    JOIN pg_catalog.pg_inherits AS h ON h.inhparent = m.oid
    JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
)
SELECT i.indexrelid
FROM pg_catalog.pg_index AS i
WHERE i.indexrelid IN (SELECT m.oid FROM members AS m)
   OR i.indrelid IN (SELECT m.oid FROM members AS m)
   OR i.indrelid IN (SELECT c.reltoastrelid
                     FROM members AS m
                     JOIN pg_catalog.pg_class AS c ON c.oid = m.oid
                     WHERE c.reltoastrelid <> 0);
