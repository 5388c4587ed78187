-- Undoes 003_teams.

DROP TABLE team_members;
DROP TABLE teams;
