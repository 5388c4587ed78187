-- agentdb: requires-extension vector
-- Undoes 006_vector; dropping the column drops its index. The extension stays: nothing records whether it was
-- there before, and other schemas of the database may use it.

ALTER TABLE knowledge_base DROP COLUMN embedding;
