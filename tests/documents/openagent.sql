-- The SQL of the document of OpenAgent, in its order; test_documents.py says how it is read.
--
-- Its database is called openagent. The tables and the index that it shows are in schemas/, and it has no other
-- SQL. Its calls are Rust; what they have to send stands here as SQL, marked "adapted".

-- # PostgreSQL / Usage
-- adapted
-- Store a conversation
-- parameters: 'telegram', 'user123'
-- expect: rows
INSERT INTO conversations (channel_id, user_id) VALUES ($1, $2);

-- Add a message
-- parameters: 'user', 'Hello!', 'user123'
-- expect: rows
INSERT INTO messages (conversation_id, role, content)
SELECT id, $1, $2 FROM conversations WHERE user_id = $3;

-- Search similar memories
-- needs: vector
-- parameters: embedding, 5, -1
-- expect: rows
SELECT id, conversation_id, content, importance, metadata, created_at, 1 - (embedding <=> $1) AS score
FROM memories
WHERE 1 - (embedding <=> $1) >= $3
ORDER BY embedding <=> $1
LIMIT $2;

-- # StorageBackend Trait
-- adapted
-- List conversations for a user
-- parameters: 20, 0
-- expect: rows
SELECT * FROM conversations
WHERE user_id = (SELECT user_id FROM conversations LIMIT 1)
ORDER BY updated_at DESC
LIMIT $1 OFFSET $2;

-- Get messages for a conversation
-- parameters: 100
-- expect: rows
SELECT * FROM messages
WHERE conversation_id = (SELECT conversation_id FROM messages WHERE conversation_id IS NOT NULL LIMIT 1)
ORDER BY created_at
LIMIT $1;

-- Delete a conversation
-- expect: rows
DELETE FROM conversations WHERE id = (SELECT id FROM conversations LIMIT 1);

-- # Memory Storage
-- adapted
-- needs: vector
-- parameters: 'User prefers detailed technical explanations', embedding, 0.8, '{"type": "preference"}'
-- expect: rows
INSERT INTO memories (id, conversation_id, content, embedding, importance, metadata, created_at)
VALUES (gen_random_uuid(), (SELECT id FROM conversations LIMIT 1), $1, $2, $3, $4, NOW());
