-- Undoes 004_conversations. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE conversation.messages;
DROP TABLE conversation.conversations;
DROP SCHEMA conversation;
