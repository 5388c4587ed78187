-- 001_knowledge_base: the questions and answers that agents look up, without the embeddings.
--
-- Holds   knowledge_base.
-- Serves  the one table that the document defines, as its Alembic migration creates it on PostgreSQL. The
--         column embedding is added by 006_vector and so stands last instead of before created_at: a server
--         without pgvector can run this file.
--
-- No column has a default: default= in SQLAlchemy fills a column on the side of the client, unlike
-- server_default=. Whoever inserts without those models supplies id and created_at.
--
-- The tables have no schema in front of their names: they are created in the first schema of search_path.

CREATE TABLE knowledge_base (
    id uuid PRIMARY KEY,
    domain varchar(50) NOT NULL,
    question text NOT NULL,
    answer text NOT NULL,
    created_at timestamp
);

COMMENT ON TABLE knowledge_base IS 'Question-and-answer pairs that agents answer from, by domain.';
COMMENT ON COLUMN knowledge_base.id IS 'Supplied by the client, for example gen_random_uuid(); no default.';
COMMENT ON COLUMN knowledge_base.domain IS
    'Subject area; every search is confined to one. Without an index, as in the document.';
COMMENT ON COLUMN knowledge_base.created_at IS
    'Without time zone, in that of the session that inserted it. NULL if the client did not supply it.';
