-- Migration 003: Convert the ids of messages from integer to UUID
--
-- Every row keeps its place: conversation_id is not touched, and the first eight hexadecimal digits of a
-- converted id are the old number, the rest is random. ORDER BY created_at, id therefore gives the old order
-- also where two messages have the same created_at, or none. For messages written later created_at decides.
--
-- Changing the type in place, rather than adding a column and swapping, rewrites the table once and keeps
-- the primary key, its name, and the order of the columns. A table of your own with a foreign key to
-- messages (id) makes this file fail as a whole: convert that column in the same transaction.
--
-- gen_random_uuid() is built in from PostgreSQL 13 on; 12 has it in pgcrypto.

BEGIN;

ALTER TABLE messages
    ALTER COLUMN id DROP DEFAULT,
    ALTER COLUMN id TYPE UUID
        USING overlay(gen_random_uuid()::TEXT PLACING lpad(to_hex(id), 8, '0') FROM 1 FOR 8)::UUID;

DROP SEQUENCE messages_id_seq;

COMMIT;

-- Rollback:
-- UPDATE messages
-- SET id = overlay(messages.id::TEXT PLACING lpad(to_hex(numbered.number), 8, '0') FROM 1 FOR 8)::UUID
-- FROM (
--     SELECT id, row_number() OVER (ORDER BY created_at, id) AS number
--     FROM messages
-- ) AS numbered
-- WHERE messages.id = numbered.id;
--
-- ALTER TABLE messages
--     ALTER COLUMN id TYPE INTEGER USING ('x' || left(id::TEXT, 8))::BIT(32)::INTEGER;
--
-- CREATE SEQUENCE messages_id_seq AS INTEGER OWNED BY messages.id;
--
-- SELECT setval('messages_id_seq', coalesce(max(id), 1), max(id) IS NOT NULL) FROM messages;
--
-- ALTER TABLE messages
--     ALTER COLUMN id SET DEFAULT nextval('messages_id_seq');
