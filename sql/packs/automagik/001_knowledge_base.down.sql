-- Undoes 001_knowledge_base.

DROP TABLE knowledge_base;
