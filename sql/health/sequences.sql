-- title: Share of the fullest sequence that is used up
-- unit: share
-- warning: 0.75
-- critical: 0.9
-- source: at its end every INSERT fails
-- advice: change the column to bigint in time
-- dig: agentdb inspect sequences
WITH sequences AS (  -- one of bigint that may not be read is no danger: none comes to its end
    SELECT n.nspname || '.' || c.relname AS name,
           s.*,
           CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE')
                THEN pg_catalog.pg_sequence_last_value(c.oid) END AS last_value,
           s.seqtypid <> 'pg_catalog.int8'::pg_catalog.regtype
           AND NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') AS unseen
    FROM pg_catalog.pg_sequence AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT s.seqcycle
      AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
), used AS (
    SELECT name,
           unseen,
           CASE WHEN seqincrement > 0 THEN last_value::float8 / seqmax
                ELSE (seqmax - last_value::float8) / (seqmax - seqmin::float8) END AS share
    FROM sequences
)
SELECT coalesce(max(share), 0) AS value,
       coalesce(
           (pg_catalog.array_agg(name ORDER BY share DESC) FILTER (WHERE share IS NOT NULL))[1], 'none used'
       ) AS detail,
       pg_catalog.string_agg(name, ', ' ORDER BY name) FILTER (WHERE unseen) AS unseen
FROM used;
