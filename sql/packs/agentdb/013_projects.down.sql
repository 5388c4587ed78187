-- Undoes 013_projects.

DROP TABLE project.tasks;
DROP TABLE project.projects;
DROP SCHEMA project;
