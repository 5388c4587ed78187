-- Undoes 002_memories.

DROP TABLE memories;
