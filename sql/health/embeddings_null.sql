-- title: Share of rows with text but without an embedding
-- unit: share
-- warning: 0.05
-- critical: 0.5
-- source: agentdb: no search by similarity finds a row without an embedding
-- advice: start again what computes the embeddings, and read its log
-- dig: agentdb inspect vector-columns
-- needs: collections
-- each: collections
WITH size AS (
    SELECT coalesce(
               (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(relid))
                FROM pg_catalog.pg_partition_tree(:'relation'::pg_catalog.regclass)),
               pg_catalog.pg_relation_size(:'relation'::pg_catalog.regclass)
           ) / pg_catalog.current_setting('block_size')::numeric AS pages
), sample AS (  -- of 256 pages, and of all if there are no more
    SELECT :"embedding" IS NULL AS missing
    FROM :"table" TABLESAMPLE SYSTEM ((SELECT least(100, 100 * 256 / greatest(pages, 1)) FROM size))
    WHERE TRUE
      AND pg_catalog.octet_length(:"text"::text) > 0 -- if text
)
SELECT coalesce(count(*) FILTER (WHERE missing)::float8 / nullif(count(*), 0), 0) AS value,
       count(*) FILTER (WHERE missing) || ' of ' || CASE WHEN (SELECT pages FROM size) > 256 THEN 'a sample of ' ELSE '' END
       || count(*) || ' rows' AS detail
FROM sample;
