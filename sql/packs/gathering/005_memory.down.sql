-- Undoes 005_memory. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE memory.memories;
DROP SCHEMA memory;
