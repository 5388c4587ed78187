-- agentdb: requires-extension vector
-- Undoes 004_vector; dropping the column drops its index. The extension stays: nothing records whether it was
-- there before, and other schemas of the database may use it.

ALTER TABLE memories DROP COLUMN embedding;
