-- Undoes 014_schedules.

DROP TABLE schedule.executions;
DROP TABLE schedule.actions;
DROP SCHEMA schedule;
