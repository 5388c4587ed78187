-- agentdb: requires-extension vector
-- Undoes 009_memory_embedding_hnsw: the index is IVFFlat with 100 lists again, as in the document. The lists
-- are computed from the rows that are there, which is better than what 008_memory_embedding can do.

CREATE INDEX idx_memories_embedding_new ON memory.memories
    USING ivfflat (embedding vector_cosine_ops)
    WITH (lists = 100);

DROP INDEX memory.idx_memories_embedding;
ALTER INDEX memory.idx_memories_embedding_new RENAME TO idx_memories_embedding;
