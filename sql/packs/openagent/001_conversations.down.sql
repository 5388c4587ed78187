-- Undoes 001_conversations.

DROP TABLE messages;
DROP TABLE conversations;
