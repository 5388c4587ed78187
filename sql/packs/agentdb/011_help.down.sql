-- Undoes 011_help.

DROP TABLE help.responses;
DROP TABLE help.requests;
DROP SCHEMA help;
