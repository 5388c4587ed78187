-- 002_auth: accounts, tokens refused before they expire, and the audit trail.
--
-- Holds   schema auth: users, token_blacklist, audit_events.
-- Serves  the document's schema auth. It names the three and shows no column: what is in them is not
--         defined in the document.

CREATE SCHEMA auth;

COMMENT ON SCHEMA auth IS 'Accounts, tokens refused before they expire, who did what.';

-- not defined in the document
CREATE TABLE auth.users (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username VARCHAR(100) UNIQUE NOT NULL,
    email VARCHAR(255) UNIQUE,
    password_hash VARCHAR(255),
    role VARCHAR(50) DEFAULT 'user',
    is_active BOOLEAN DEFAULT TRUE,
    last_login_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

COMMENT ON TABLE auth.users IS 'Accounts of the application; unrelated to PostgreSQL roles.';
COMMENT ON COLUMN auth.users.password_hash IS 'Salted hash with its parameters, never a password.';
COMMENT ON COLUMN auth.users.role IS 'Role within the application, for example user or admin.';

-- not defined in the document
CREATE TABLE auth.token_blacklist (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id VARCHAR(255) UNIQUE NOT NULL,
    user_id BIGINT REFERENCES auth.users(id),
    reason VARCHAR(100),
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_token_blacklist_user ON auth.token_blacklist(user_id);
CREATE INDEX idx_token_blacklist_expires ON auth.token_blacklist(expires_at);

COMMENT ON TABLE auth.token_blacklist IS
    'Tokens to refuse although they have not expired. A row is of no use once expires_at has passed.';
COMMENT ON COLUMN auth.token_blacklist.token_id IS
    'The token''s jti claim, or a SHA-256 of the token; never the token itself.';
COMMENT ON COLUMN auth.token_blacklist.expires_at IS 'The token''s own expiry; retention counts from here.';

-- not defined in the document
CREATE TABLE auth.audit_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_type VARCHAR(100) NOT NULL,
    outcome VARCHAR(20) DEFAULT 'success',
    user_id BIGINT,
    username VARCHAR(100),
    ip_address INET,
    details JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_audit_events_user ON auth.audit_events(user_id, created_at);
CREATE INDEX idx_audit_events_created ON auth.audit_events(created_at);

COMMENT ON TABLE auth.audit_events IS
    'Logins, logouts, revocations and changes of rights. Append only. No foreign key: the trail outlives the '
    'accounts it speaks of.';
COMMENT ON COLUMN auth.audit_events.event_type IS 'login, logout, token_revoked, role_changed, ...';
COMMENT ON COLUMN auth.audit_events.outcome IS 'success, failure or denied.';
COMMENT ON COLUMN auth.audit_events.user_id IS 'auth.users.id at the time; NULL before login.';
COMMENT ON COLUMN auth.audit_events.username IS 'The name as it was given, also when the login failed.';
