-- title: Share of embeddings with another dimension than most
-- unit: share
-- warning: 0
-- critical: none
-- source: agentdb: vectors of different dimensions cannot be compared, the search fails
-- advice: compute the embeddings of the other model again; a column vector(n) takes no others
-- dig: agentdb inspect vector-columns
-- needs: collections
-- each: collections
WITH declared AS (
    SELECT pg_catalog.format_type(atttypid, atttypmod) AS type,
           atttypmod > 0 AS fixed
    FROM pg_catalog.pg_attribute
    WHERE attrelid = :'relation'::pg_catalog.regclass
      AND attname = :'embedding'
), size AS (
    SELECT coalesce(
               (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(relid))
                FROM pg_catalog.pg_partition_tree(:'relation'::pg_catalog.regclass)),
               pg_catalog.pg_relation_size(:'relation'::pg_catalog.regclass)
           ) / pg_catalog.current_setting('block_size')::numeric AS pages
), sample AS (  -- of 64 pages, as every row is read whole; none where the type lets only one dimension in
    SELECT pg_catalog.cardinality(:"embedding"::real[]) AS dimension
    FROM :"table" TABLESAMPLE SYSTEM ((
        SELECT CASE WHEN fixed THEN 0 ELSE least(100, 100 * 64 / greatest(pages, 1)) END FROM size, declared
    ))
    WHERE :"embedding" IS NOT NULL
), dimensions AS (
    SELECT dimension, count(*) AS number
    FROM sample
    GROUP BY dimension
)
SELECT coalesce(1 - max(number)::float8 / nullif(sum(number), 0), 0)::float8 AS value,
       (SELECT type FROM declared)
       || CASE
              WHEN (SELECT fixed FROM declared) THEN ': no others fit in'
              ELSE coalesce(
                  CASE WHEN (SELECT pages FROM size) > 64 THEN ', in a sample: ' ELSE ': ' END || pg_catalog.string_agg(dimension || ' (' || number || ' rows)', ', ' ORDER BY number DESC),
                  ': no embeddings yet'
              )
          END AS detail
FROM dimensions;
