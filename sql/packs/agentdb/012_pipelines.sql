-- 012_pipelines: graphs of steps, and every time they were run.
--
-- Holds   schema pipeline: pipelines, runs, node_runs.
-- Serves  GatheRing pipeline: definitions, runs, node runs.

CREATE SCHEMA pipeline;

COMMENT ON SCHEMA pipeline IS 'Multi-step work: pipeline definitions, their runs, the runs of their nodes.';

CREATE TABLE pipeline.pipelines (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name core.label NOT NULL,
    version integer NOT NULL DEFAULT 1 CONSTRAINT pipelines_version_positive CHECK (version > 0),
    description text,
    definition jsonb NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_by uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pipelines_name_version_key UNIQUE (name, version)
);

CREATE INDEX pipelines_created_by_idx ON pipeline.pipelines (created_by);

CREATE TRIGGER pipelines_touch_updated_at
    BEFORE UPDATE ON pipeline.pipelines
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE pipeline.pipelines IS
    'Definitions, a row a version. To retire one clear is_active: deleting it deletes its runs.';
COMMENT ON COLUMN pipeline.pipelines.version IS
    'Raised instead of changing a definition that has run, so that old runs stay explicable.';
COMMENT ON COLUMN pipeline.pipelines.definition IS 'The graph: nodes with their settings, and edges.';

CREATE TABLE pipeline.runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    pipeline_id uuid NOT NULL REFERENCES pipeline.pipelines (id) ON DELETE CASCADE,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT runs_status_known
        CHECK (status IN ('pending', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    trigger_type core.label,
    triggered_by core.label,
    input jsonb,
    output jsonb,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT runs_end_after_start CHECK (finished_at >= started_at)
);

CREATE INDEX runs_pipeline_idx ON pipeline.runs (pipeline_id, created_at DESC);
CREATE INDEX runs_created_idx ON pipeline.runs (created_at);
CREATE INDEX runs_unfinished_idx ON pipeline.runs (status, created_at)
    WHERE status IN ('pending', 'running', 'paused');

COMMENT ON TABLE pipeline.runs IS 'Executions of pipelines.';
COMMENT ON COLUMN pipeline.runs.trigger_type IS 'What started it: manual, schedule, api, event.';
COMMENT ON COLUMN pipeline.runs.triggered_by IS 'Who or what started it, by name.';
COMMENT ON COLUMN pipeline.runs.error IS 'Why it failed; NULL otherwise.';
COMMENT ON COLUMN pipeline.runs.created_at IS 'When it was queued; retention counts from here.';
COMMENT ON INDEX pipeline.runs_unfinished_idx IS 'Queue and running work, however long the history is.';

CREATE TABLE pipeline.node_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES pipeline.runs (id) ON DELETE CASCADE,
    node_key core.label NOT NULL,
    attempt integer NOT NULL DEFAULT 1 CONSTRAINT node_runs_attempt_positive CHECK (attempt > 0),
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT node_runs_status_known
        CHECK (status IN ('pending', 'running', 'paused', 'succeeded', 'failed', 'cancelled', 'skipped')),
    input jsonb,
    output jsonb,
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT node_runs_attempt_key UNIQUE (run_id, node_key, attempt),
    CONSTRAINT node_runs_end_after_start CHECK (finished_at >= started_at)
);

CREATE INDEX node_runs_agent_idx ON pipeline.node_runs (agent_id);

COMMENT ON TABLE pipeline.node_runs IS 'What each node did in a run, a row an attempt.';
COMMENT ON COLUMN pipeline.node_runs.node_key IS 'Key of the node in the definition.';
COMMENT ON COLUMN pipeline.node_runs.attempt IS '1 for the first try, one more for each retry.';
COMMENT ON COLUMN pipeline.node_runs.agent_id IS 'Agent that did the work, if the node has one.';
COMMENT ON COLUMN pipeline.node_runs.status IS 'As in runs, and skipped for a node on a branch not taken.';
COMMENT ON COLUMN pipeline.node_runs.error IS 'Why the attempt failed; NULL otherwise.';
