-- Undoes 012_pipelines.

DROP TABLE pipeline.node_runs;
DROP TABLE pipeline.runs;
DROP TABLE pipeline.pipelines;
DROP SCHEMA pipeline;
