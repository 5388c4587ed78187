-- The SQL of the document of GatheRing, in its order; test_documents.py says how it is read.
--
-- Its database is called gathering, and so is the role that it creates with createuser. The tables and
-- indexes that it shows are in schemas/.

-- # pycopg - Database Layer / Async usage
-- parameters: 'active'
-- expect: rows
SELECT * FROM agent.agents WHERE status = %s;

-- # pycopg - Database Layer / Connection pooling
-- expect: rows
SELECT * FROM agent.agents;

-- # Async Database Service / Usage in route handlers
-- parameters: 1
-- expect: rows
SELECT * FROM agent.agents WHERE id = %s;

-- # Advisory Locks
-- parameters: 1, 42
-- expect: rows
SELECT pg_try_advisory_xact_lock(%s, %s);

-- # Setup / Create Database
-- Set password
ALTER USER gathering PASSWORD 'your_password';

-- # Setup / Enable Extensions
-- needs: vector
CREATE EXTENSION IF NOT EXISTS vector;
-- needs: pg_trgm
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- # Vector Search / Similarity Search
-- Find similar memories
-- needs: vector
-- parameters: 1
-- expect-error: 42703 query_embedding is a word for the vector, and no parameter
SELECT id, key, value,
       1 - (embedding <=> query_embedding) AS similarity
FROM memory.memories
WHERE embedding IS NOT NULL
  AND agent_id = $1
ORDER BY embedding <=> query_embedding
LIMIT 10;
-- instead: as a second parameter
-- needs: vector
-- parameters: 1, embedding
-- expect: rows
SELECT id, key, value,
       1 - (embedding <=> $2) AS similarity
FROM memory.memories
WHERE embedding IS NOT NULL
  AND agent_id = $1
ORDER BY embedding <=> $2
LIMIT 10;

-- # Migrations / Creating a Migration
-- 010_add_new_feature.sql
-- Add new column
ALTER TABLE agent.agents ADD COLUMN new_field VARCHAR(100);

-- Create new table
-- expect-error: 42601 a comma and a comment stand for the columns to come
CREATE TABLE agent.new_table (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- ...
);
-- instead: with a column in their place
CREATE TABLE agent.new_table (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(100)
);

-- Create indexes
CREATE INDEX idx_new_field ON agent.agents(new_field);

-- # Connection Pooling / Use connection
-- expect: rows
SELECT * FROM agent.agents;

-- # Performance / Query Optimization
-- Explain analyze for debugging
-- expect: rows
EXPLAIN ANALYZE
SELECT * FROM memory.memories
WHERE agent_id = 1 AND scope = 'agent';

-- Check index usage
-- expect: rows
SELECT indexrelname, idx_scan, idx_tup_read
FROM pg_stat_user_indexes
WHERE schemaname = 'memory';

-- # Troubleshooting / Connection Issues
-- Test connection
-- expect: rows
SELECT 1;

-- # Troubleshooting / pgvector Issues
-- Check extension is installed
-- needs: vector
-- expect: rows
SELECT * FROM pg_extension WHERE extname = 'vector';

-- Reinstall if needed
-- needs: vector
-- expect: notice drop cascades to column embedding of table memory.memories
DROP EXTENSION IF EXISTS vector CASCADE;
-- needs: vector
CREATE EXTENSION vector;

-- # Troubleshooting / Performance Issues
-- outside-transaction
-- Check table sizes
-- expect: rows
SELECT relname, pg_size_pretty(pg_total_relation_size(relid))
FROM pg_stat_user_tables
ORDER BY pg_total_relation_size(relid) DESC;

-- Vacuum and analyze
VACUUM ANALYZE memory.memories;
