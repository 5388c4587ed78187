-- agentdb: requires-extension vector
-- Undoes 015_vector; dropping the columns drops their indexes. The extension stays: nothing records whether
-- it was there before, and other schemas of the database may use it.

ALTER TABLE memory.knowledge DROP COLUMN embedding;
ALTER TABLE memory.memories DROP COLUMN embedding;
