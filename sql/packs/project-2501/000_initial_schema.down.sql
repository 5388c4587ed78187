-- Rollback of migration 000. Without CASCADE: it stops if anything still uses these tables.

BEGIN;

DROP TABLE messages;
DROP TABLE conversations;
DROP TABLE modules;
DROP TABLE personas;

COMMIT;
