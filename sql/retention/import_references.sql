-- title: which of some tables refer to which others of them
SELECT DISTINCT conrelid AS child, confrelid AS parent
FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
  AND conrelid = ANY (:oids) AND confrelid = ANY (:oids);
