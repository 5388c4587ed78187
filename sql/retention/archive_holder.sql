-- title: the session that runs a transaction, by the low 32 bits of its id
SELECT pid
FROM pg_catalog.pg_stat_activity
WHERE backend_xid::pg_catalog.text::pg_catalog.int8 = :xid % 4294967296;
