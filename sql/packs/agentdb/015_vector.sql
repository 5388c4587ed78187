-- agentdb: requires-extension vector
-- 015_vector: embeddings and their similarity search. Leave this file out on a server without pgvector:
--             nothing else depends on it.
--
-- Holds   memory.memories.embedding and memory.knowledge.embedding with an HNSW index each.
-- Serves  GatheRing memory.memories.embedding · OpenAgent memories.embedding · Project 2501
--         conversation_memory.embedding · Automagik knowledge_base.embedding.
-- Uses    embedding_dimensions, what the embedding model returns. An HNSW index takes up to 2,000.
--
-- HNSW and not IVFFlat: it needs no training data, so it can be built on the empty table, and its recall
-- does not fade as rows are added. m and ef_construction are pgvector's defaults, spelled out: raise
-- ef_construction (and m) for better recall at the price of the build; hnsw.ef_search tunes each query.
-- Load a large volume before creating the index, or drop it for the load: building it at once, with
-- enough maintenance_work_mem, is several times faster than growing it row by row.

CREATE EXTENSION IF NOT EXISTS vector;

ALTER TABLE memory.memories ADD COLUMN embedding vector(:embedding_dimensions);

CREATE INDEX memories_embedding_idx ON memory.memories
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX memories_unembedded_idx ON memory.memories (created_at) WHERE embedding IS NULL;

COMMENT ON COLUMN memory.memories.embedding IS
    'Embedding of content, compared by cosine distance (<=>); NULL until computed. All of a column must come '
    'from one model: after a change of model embed everything anew.';
COMMENT ON INDEX memory.memories_unembedded_idx IS 'Work list of the embedding job; empty when it is done.';

ALTER TABLE memory.knowledge ADD COLUMN embedding vector(:embedding_dimensions);

CREATE INDEX knowledge_embedding_idx ON memory.knowledge
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX knowledge_unembedded_idx ON memory.knowledge (created_at) WHERE embedding IS NULL;

COMMENT ON COLUMN memory.knowledge.embedding IS
    'Embedding of question and answer, compared by cosine distance (<=>); NULL until computed. All of a '
    'column must come from one model.';
COMMENT ON INDEX memory.knowledge_unembedded_idx IS 'Work list of the embedding job; empty when it is done.';
