-- title: Share of the transaction ids used by the oldest database
-- unit: share
-- warning: 0.5
-- critical: 0.8
-- source: PostgreSQL stops writes shortly before 2^31; it warns at 40 million ids left
-- advice: let autovacuum freeze, or VACUUM (FREEZE) the oldest tables
-- dig: agentdb inspect wraparound
SELECT max(greatest(pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid)))::float8 / 2147483648 AS value,
       (pg_catalog.array_agg(datname ORDER BY pg_catalog.age(datfrozenxid) DESC))[1] || ': '
       || max(pg_catalog.age(datfrozenxid)) || ' transactions' AS detail
FROM pg_catalog.pg_database;
