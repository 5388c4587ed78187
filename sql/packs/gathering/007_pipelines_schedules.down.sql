-- Undoes 007_pipelines_schedules. Without CASCADE: it stops if anything still uses these objects.

DROP TABLE schedule.executions;
DROP TABLE schedule.scheduled_actions;
DROP TABLE pipeline.node_runs;
DROP TABLE pipeline.runs;
DROP TABLE pipeline.pipelines;
DROP SCHEMA schedule;
DROP SCHEMA pipeline;
