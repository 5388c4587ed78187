-- Undoes 006_projects. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE project.tasks;
DROP TABLE project.projects;
DROP SCHEMA project;
