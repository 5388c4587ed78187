-- The SQL of the document of Automagik, in its order; test_documents.py says how it is read.
--
-- Its database is called ai. The one table that it shows is in schemas/. Its search is Python; what SQLAlchemy
-- makes of it stands here as SQL, marked "adapted".

-- # Vector Search Implementation / search_knowledge_with_vector
-- adapted
-- needs: vector
-- parameters: 'billing', embedding, 5
-- expect: rows
SELECT knowledge_base.id, knowledge_base.domain, knowledge_base.question, knowledge_base.answer,
       knowledge_base.created_at
FROM knowledge_base
WHERE knowledge_base.domain = %s
ORDER BY knowledge_base.embedding <-> %s
LIMIT %s;

-- # Migration Strategy / upgrade: the extension
-- needs: vector
CREATE EXTENSION IF NOT EXISTS vector;
