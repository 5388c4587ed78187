-- Undoes 005_teams.

DROP TABLE team.members;
DROP TABLE team.teams;
DROP SCHEMA team;
