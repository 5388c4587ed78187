-- 001_public: the types that the other schemas share, and the trigram extension where the server has it.
--
-- Holds   in schema public: agent_status, circle_status, memory_scope, memory_type; the extension pg_trgm.
-- Serves  the document's schema public (common types, functions, extensions).
--
-- The document names the four types and shows one or two values of each: 'idle' and 'active', 'created',
-- 'agent', 'fact'. The other values are not defined in the document; they are the plain words for the life
-- of an agent, of a circle, for the schemas a memory can belong to, and for what a memory can be. An
-- installation with words of its own appends them: ALTER TYPE public.memory_type ADD VALUE '...'.
--
-- The document names no function, so none is made up: updated_at is written by the application.
--
-- The types are written with their schema because a search_path without public would put them elsewhere.

CREATE TYPE public.agent_status AS ENUM ('idle', 'active', 'busy', 'paused', 'offline', 'error');

CREATE TYPE public.circle_status AS ENUM ('created', 'active', 'paused', 'stopped', 'archived');

CREATE TYPE public.memory_scope AS ENUM ('agent', 'circle', 'conversation', 'project', 'user', 'global');

CREATE TYPE public.memory_type AS ENUM ('fact', 'preference', 'event', 'decision', 'skill', 'summary');

COMMENT ON TYPE public.agent_status IS 'Availability of an agent for work; error: it needs a person.';
COMMENT ON TYPE public.circle_status IS 'Life of a circle, from created to archived.';
COMMENT ON TYPE public.memory_scope IS
    'Who may recall a memory; memories.scope_id is the id of the row that the scope names.';
COMMENT ON TYPE public.memory_type IS 'What a memory is.';

-- pg_trgm is a contrib module, and not every server comes with those. No table or index of the document
-- uses it, so it is created where it can be and left out, with a notice, where it cannot.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        RAISE NOTICE 'pg_trgm is left out: the server does not have it, and nothing here depends on it';
        RETURN;
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'pg_trgm is left out: %; nothing here depends on it', SQLERRM;
END
$$;
