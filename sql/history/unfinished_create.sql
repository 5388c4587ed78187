-- title: the table of migrations that run statement by statement and are not done yet
-- Beside the tracking table, which has a row for what is applied as a whole, and nothing else.
CREATE TABLE IF NOT EXISTS :"schema".:"table" (
    pack         text        NOT NULL,
    version      bigint      NOT NULL,
    name         text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('running', 'failed')),
    done         text[]      NOT NULL DEFAULT '{}',
    begun        text,
    leaves       text,
    error        text,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_by       text        NOT NULL DEFAULT session_user,
    tool_version text        NOT NULL,
    PRIMARY KEY (pack, version)
);
COMMENT ON TABLE :"schema".:"table" IS
    'Migrations without a transaction that agentdb has begun; a row leaves when its file is done.';
COMMENT ON COLUMN :"schema".:"table".done IS
    'The SHA-256 of each statement that was completed, in order.';
COMMENT ON COLUMN :"schema".:"table".begun IS
    'The SHA-256 of a statement that may have been completed: no transaction could hold it.';
COMMENT ON COLUMN :"schema".:"table".leaves IS
    'The index that the begun statement builds; there was none of that name before.';
