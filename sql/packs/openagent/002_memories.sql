-- 002_memories: what the assistant remembers, without the embeddings.
--
-- Holds   memories.
-- Serves  the third table of the document. Its column embedding is added by 004_vector and so stands last
--         instead of after content: a server without pgvector can run this file.

CREATE TABLE memories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid REFERENCES conversations (id) ON DELETE CASCADE,
    content text NOT NULL,
    importance float DEFAULT 0.5,
    created_at timestamptz DEFAULT now(),
    metadata jsonb DEFAULT '{}'
);

COMMENT ON TABLE memories IS
    'What is worth keeping from conversations. A memory goes with its conversation.';
COMMENT ON COLUMN memories.conversation_id IS
    'Conversation it was drawn from; NULL for one that belongs to none, and so is never deleted with one.';
COMMENT ON COLUMN memories.importance IS 'Weight, by convention from 0 to 1.';
COMMENT ON COLUMN memories.metadata IS 'For example its type (preference) and source (inferred).';
