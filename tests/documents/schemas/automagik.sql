-- The table of Automagik's document, as its Alembic migration makes it, with Alembic's own.

CREATE EXTENSION vector;
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE knowledge_base (
    id UUID NOT NULL,
    domain VARCHAR(50) NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    embedding VECTOR(1536),
    created_at TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id)
);
CREATE INDEX idx_embedding ON knowledge_base USING ivfflat (embedding) WITH (lists = 100);
