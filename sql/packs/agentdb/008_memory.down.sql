-- Undoes 008_memory.

DROP TABLE memory.knowledge;
DROP TABLE memory.access_stats;
DROP TABLE memory.memories;
DROP SCHEMA memory;
