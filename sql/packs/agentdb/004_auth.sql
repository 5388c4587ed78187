-- 004_auth: accounts, tokens revoked before they expired, and the audit trail.
--
-- Holds   schema auth: users, revoked_tokens, audit_events (a partition a day).
-- Serves  GatheRing auth: users, token blacklist, audit events · OpenAgent users.

CREATE SCHEMA auth;

COMMENT ON SCHEMA auth IS 'Who may do what, and who did: users, revoked tokens, audit events.';

CREATE TABLE auth.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username core.label NOT NULL,
    email core.label
        CONSTRAINT users_email_shape CHECK (email LIKE '%_@_%'),
    display_name core.label,
    password_hash text,
    role core.label NOT NULL DEFAULT 'user',
    is_active boolean NOT NULL DEFAULT true,
    last_login_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX users_username_key ON auth.users (lower(username));
CREATE UNIQUE INDEX users_email_key ON auth.users (lower(email));

CREATE TRIGGER users_touch_updated_at
    BEFORE UPDATE ON auth.users
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE auth.users IS
    'People and services with an account of the application; unrelated to PostgreSQL roles.';
COMMENT ON COLUMN auth.users.username IS
    'Login name or, for a user who only comes through a chat channel, the identity used there. '
    'Unique regardless of case.';
COMMENT ON COLUMN auth.users.email IS 'Unique regardless of case; NULL if unknown.';
COMMENT ON COLUMN auth.users.password_hash IS
    'Salted hash (argon2id, scrypt, bcrypt) with its parameters, never a password; NULL with single sign-on.';
COMMENT ON COLUMN auth.users.role IS 'Role within the application, for example user or admin.';
COMMENT ON COLUMN auth.users.is_active IS
    'False forbids login and keeps the history; deleting a user detaches it from what it created.';

CREATE TABLE auth.revoked_tokens (
    token_id core.label PRIMARY KEY,
    user_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    reason text,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE INDEX revoked_tokens_user_idx ON auth.revoked_tokens (user_id);
CREATE INDEX revoked_tokens_expires_idx ON auth.revoked_tokens (expires_at);

COMMENT ON TABLE auth.revoked_tokens IS
    'Tokens to refuse although they have not expired. A row is of no use once expires_at has passed.';
COMMENT ON COLUMN auth.revoked_tokens.token_id IS
    'The token''s jti claim, or a SHA-256 of the token; never the token itself.';
COMMENT ON COLUMN auth.revoked_tokens.user_id IS
    'Owner of the token. Set to NULL and not cascaded: deleting a user must not make a token valid again.';
COMMENT ON COLUMN auth.revoked_tokens.expires_at IS 'The token''s own expiry; retention counts from here.';

CREATE TABLE auth.audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    event_type core.label NOT NULL,
    outcome core.label NOT NULL DEFAULT 'success',
    user_id uuid,
    username core.label,
    ip_address inet,
    user_agent text,
    resource text,
    details jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX audit_events_user_idx ON auth.audit_events (user_id, occurred_at DESC);
CREATE INDEX audit_events_type_idx ON auth.audit_events (event_type, occurred_at DESC);
CREATE INDEX audit_events_failed_idx ON auth.audit_events (ip_address, occurred_at DESC)
    WHERE outcome <> 'success';

CREATE TABLE auth.audit_events_default PARTITION OF auth.audit_events DEFAULT;

COMMENT ON TABLE auth.audit_events IS
    'Append-only trail of logins, token revocations and changes of rights. No foreign key: an audit trail '
    'outlives the accounts it speaks of. Grant the application SELECT and INSERT on it, nothing more.';
COMMENT ON COLUMN auth.audit_events.occurred_at IS
    'Partition key, days in UTC. It leads the primary key, which thereby serves every query by time.';
COMMENT ON COLUMN auth.audit_events.event_type IS 'login, logout, token_revoked, role_changed, ...';
COMMENT ON COLUMN auth.audit_events.outcome IS 'success, failure or denied.';
COMMENT ON COLUMN auth.audit_events.user_id IS 'auth.users.id at the time; NULL before login.';
COMMENT ON COLUMN auth.audit_events.username IS 'The name as it was given, also when the login failed.';
COMMENT ON COLUMN auth.audit_events.resource IS 'What was acted upon, for example agent/performance_monitor.';
COMMENT ON INDEX auth.audit_events_failed_idx IS 'Repeated failures from one address.';
COMMENT ON TABLE auth.audit_events_default IS 'Rows of days without a partition; empty in good order.';

SELECT core.create_partitions(
    'auth.audit_events',
    (now() AT TIME ZONE 'UTC')::date - 1,
    (now() AT TIME ZONE 'UTC')::date + 7
);
