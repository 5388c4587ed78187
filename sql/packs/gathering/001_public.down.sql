-- Undoes 001_public. pg_trgm stays: nothing records whether it was there before, and other schemas of the
-- database may use it.

DROP TYPE public.memory_type;
DROP TYPE public.memory_scope;
DROP TYPE public.circle_status;
DROP TYPE public.agent_status;
