-- Rollback of migration 003: the messages are numbered again from 1, by created_at and id.
--
-- The order of the messages is kept, the numbers they had before 003 are not: those of messages deleted
-- meanwhile are given out again. The number is first written into the id, for a change of type cannot look
-- at other rows.

BEGIN;

UPDATE messages
SET id = overlay(messages.id::TEXT PLACING lpad(to_hex(numbered.number), 8, '0') FROM 1 FOR 8)::UUID
FROM (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS number
    FROM messages
) AS numbered
WHERE messages.id = numbered.id;

ALTER TABLE messages
    ALTER COLUMN id TYPE INTEGER USING ('x' || left(id::TEXT, 8))::BIT(32)::INTEGER;

CREATE SEQUENCE messages_id_seq AS INTEGER OWNED BY messages.id;

SELECT setval('messages_id_seq', coalesce(max(id), 1), max(id) IS NOT NULL) FROM messages;

ALTER TABLE messages
    ALTER COLUMN id SET DEFAULT nextval('messages_id_seq');

COMMIT;
