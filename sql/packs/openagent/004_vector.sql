-- agentdb: requires-extension vector
-- 004_vector: the embeddings of the memories and their similarity search. Leave this file out on a server
--             without pgvector: nothing else depends on it.
--
-- Holds   memories.embedding with its index.
-- Serves  the rest of the document's third table, and its vector index, to the letter.
-- Uses    embedding_dimensions, what the embedding model returns (1536 in the document). An index takes up
--         to 2,000.
--
-- IVFFlat places its 100 lists by the rows that are there when the index is made: on the empty table it can
-- only place them at random, and recall stays poor. Once there are some thousand memories, run
-- REINDEX INDEX memories_embedding_idx.

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

ALTER TABLE memories ADD COLUMN embedding vector(:embedding_dimensions);

CREATE INDEX ON memories USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);

COMMENT ON COLUMN memories.embedding IS
    'Embedding of content, compared by cosine distance (<=>): similarity is 1 minus it. NULL until computed, '
    'and then not found by similarity. All of a column must come from one model.';
