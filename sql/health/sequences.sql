-- title: Share of the fullest sequence that is used up
-- unit: share
-- warning: 0.75
-- critical: 0.9
-- source: at its end every INSERT fails
-- advice: change the column to bigint in time
-- dig: agentdb inspect sequences
WITH owners AS (  -- a sequence of bigint may feed a column that holds less
    SELECT d.objid AS oid,
           min(CASE a.atttypid WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
                               WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647 END) AS most
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.deptype IN ('a', 'i')
      AND d.refobjsubid > 0
    GROUP BY d.objid
), finite AS MATERIALIZED (  -- those of bigint never come to their end, and to open each takes time
    SELECT n.nspname,
           c.relname,
           n.nspname || '.' || c.relname AS name,
           s.seqincrement > 0 AS upwards,
           s.seqmin,
           least(s.seqmax, o.most) AS most,
           pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT')
           AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS seen
    FROM pg_catalog.pg_sequence AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN owners AS o ON o.oid = s.seqrelid
    WHERE NOT s.seqcycle
      AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
      AND CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, o.most)::numeric ELSE s.seqmax::numeric - s.seqmin END
          < 9000000000000000000
), used AS (
    SELECT name,
           NOT seen AS unseen,
           CASE WHEN upwards THEN last::float8 / most
                ELSE (most - last::float8) / (most - seqmin::float8) END AS share
    FROM finite
    CROSS JOIN LATERAL (
        -- pg_sequence_last_value() would lock it as nextval() does; ts_stat() is the one
        -- function that reads a relation by its name, and takes ACCESS SHARE alone
        SELECT CASE WHEN seen THEN (
            SELECT word
            FROM pg_catalog.ts_stat(pg_catalog.format(
                'SELECT pg_catalog.array_to_tsvector(ARRAY[last_value::text]) FROM %I.%I WHERE is_called',
                nspname, relname
            ))
        )::float8 END AS last
    ) AS value
)
SELECT coalesce(max(share), 0) AS value,
       coalesce(
           (pg_catalog.array_agg(name ORDER BY share DESC) FILTER (WHERE share IS NOT NULL))[1],
           'none that could run out is used'
       ) AS detail,
       pg_catalog.string_agg(name, ', ' ORDER BY name) FILTER (WHERE unseen) AS unseen
FROM used;
