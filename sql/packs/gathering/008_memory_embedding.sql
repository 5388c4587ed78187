-- agentdb: requires-extension vector
-- 008_memory_embedding: the embedding of each memory, with the index of the document. Leave this file and
--                       the next out on a server without pgvector: nothing else depends on them.
--
-- Holds   the extension vector; memory.memories.embedding, added as the last column (see 005_memory), and
--         idx_memories_embedding.
-- Serves  the document's similarity search.
-- Uses    embedding_dimensions, what the embedding model returns; 1536 in the document.
--
-- DROP EXTENSION vector CASCADE, which the document gives as a way to reinstall it, drops this column with
-- all embeddings in it. Running this file and the next once more with psql brings the column and its index
-- back, empty. To change versions without that loss: ALTER EXTENSION vector UPDATE.

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

ALTER TABLE memory.memories ADD COLUMN embedding vector(:embedding_dimensions);

CREATE INDEX idx_memories_embedding ON memory.memories
    USING ivfflat (embedding vector_cosine_ops)
    WITH (lists = 100);

COMMENT ON COLUMN memory.memories.embedding IS
    'Embedding of value, compared by cosine distance (<=>); NULL until computed. All must come from one model.';
