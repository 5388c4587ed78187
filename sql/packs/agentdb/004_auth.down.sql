-- Undoes 004_auth. The partitions go with auth.audit_events.

DROP TABLE auth.audit_events;
DROP TABLE auth.revoked_tokens;
DROP TABLE auth.users;
DROP SCHEMA auth;
