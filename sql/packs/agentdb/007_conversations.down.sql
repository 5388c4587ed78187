-- Undoes 007_conversations.

DROP TABLE conversation.states;
DROP TABLE conversation.messages;
DROP TABLE conversation.conversations;
DROP SCHEMA conversation;
