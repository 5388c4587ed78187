-- Undoes 002_auth. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE auth.audit_events;
DROP TABLE auth.token_blacklist;
DROP TABLE auth.users;
DROP SCHEMA auth;
