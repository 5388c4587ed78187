-- agentdb: requires-extension vector
-- 009_memory_embedding_hnsw: the vector index as HNSW instead of IVFFlat, under the same name.
--
-- Holds   idx_memories_embedding, rebuilt.
-- Serves  the document's similarity search; the document itself stops at IVFFlat, with 008_memory_embedding.
--
-- IVFFlat sorts vectors into lists around centres that it computes when it is built. The document builds it
-- on the empty table, where there is nothing to compute them from, so that its recall is a matter of luck
-- until somebody thinks of REINDEX. HNSW needs no such start and keeps its recall as rows are added. It
-- takes up to 2,000 dimensions. m and ef_construction are pgvector's defaults, spelled out.
--
-- The old index is dropped last, so that searches go on while the new one is built; writes wait that long.

CREATE INDEX idx_memories_embedding_new ON memory.memories
    USING hnsw (embedding vector_cosine_ops)
    WITH (m = 16, ef_construction = 64);

DROP INDEX memory.idx_memories_embedding;
ALTER INDEX memory.idx_memories_embedding_new RENAME TO idx_memories_embedding;
