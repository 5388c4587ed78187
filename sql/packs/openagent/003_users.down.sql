-- Undoes 003_users.

DROP TABLE users;
