-- agentdb: requires-extension vector
-- 006_vector: the embeddings of the knowledge base and their similarity search. Leave this file out on a
--             server without pgvector: nothing else depends on it.
--
-- Holds   knowledge_base.embedding with its index.
-- Serves  the PostgreSQL part of the document's migration, to the letter.
-- Uses    embedding_dimensions, what the embedding model returns (1536 in the document). An index takes up
--         to 2,000.
--
-- IVFFlat places its 100 lists by the rows that are there when the index is made: on the empty table it can
-- only place them at random, and recall stays poor. Once the knowledge base is loaded, run
-- REINDEX INDEX idx_embedding.

-- The extension goes into the last schema of search_path, which all packs of a database have in common: in
-- the first one, it would be out of sight of a second pack in a schema of its own.
DO $block$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'vector') THEN
        EXECUTE format(
            'CREATE EXTENSION vector SCHEMA %I',
            (current_schemas(false))[cardinality(current_schemas(false))]
        );
    END IF;
END
$block$;

ALTER TABLE knowledge_base ADD COLUMN embedding vector(:embedding_dimensions);

CREATE INDEX idx_embedding ON knowledge_base USING ivfflat (embedding) WITH (lists = 100);

COMMENT ON COLUMN knowledge_base.embedding IS
    'Embedding of question and answer, compared by L2 distance (<->); NULL until computed. All of a column '
    'must come from one model.';
COMMENT ON INDEX idx_embedding IS
    'Without an operator class, as in the document: vector_l2_ops, the default. It serves <-> alone, not the '
    'cosine distance <=>; embeddings of unit length, such as OpenAI''s, are ordered alike by both.';
