-- agentdb: requires-extension vector
-- Undoes 008_memory_embedding; dropping the column drops its index, and all embeddings are lost. The
-- extension stays: nothing records whether it was there before, and other schemas of the database may use it.

ALTER TABLE memory.memories DROP COLUMN embedding;
