-- title: what a search has to know of a table beside its columns
-- $1: the table's oid; $2: its tsvector column, or NULL. One row.
SELECT pg_catalog.row_security_active($1::pg_catalog.oid) AS row_security,
       ARRAY(
           SELECT DISTINCT a.attname::text
           FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
           JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'gin'
           JOIN pg_catalog.pg_attribute AS a
               ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
           WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL
       ) AS gin,
       (
           SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
           FROM pg_catalog.pg_attribute AS a
           JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = $1 AND a.attname = $2 AND a.attgenerated <> ''
       ) AS generated,
       pg_catalog.current_setting('default_text_search_config') AS default_config;
