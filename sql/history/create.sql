-- title: the tracking table of applied migrations
-- :"schema" and :"table" come from [migrations] table in agentdb.toml.
-- One table serves several packs in one database, hence the pack in the key.
CREATE TABLE IF NOT EXISTS :"schema".:"table" (
    pack         text        NOT NULL,
    version      bigint      NOT NULL,
    name         text        NOT NULL,
    checksum     text        NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration     interval    NOT NULL,
    applied_by   text        NOT NULL DEFAULT session_user,
    tool_version text        NOT NULL,
    variables    jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (pack, version)
);
COMMENT ON TABLE :"schema".:"table" IS
    'Migrations applied by agentdb; each row was written in the transaction of its file.';
COMMENT ON COLUMN :"schema".:"table".pack IS
    'The pack that the file belongs to, or "local" for a directory of the user''s own.';
COMMENT ON COLUMN :"schema".:"table".checksum IS
    'SHA-256 of the file, without byte order mark and with LF line ends, in hexadecimal.';
COMMENT ON COLUMN :"schema".:"table".variables IS
    'The values of the variables that the file uses, as they were when it was applied.';
