-- 007_pipelines_schedules: graphs of steps and their runs; what is to happen when, and what came of it.
--
-- Holds   schema pipeline: pipelines, runs, node_runs; schema schedule: scheduled_actions, executions.
-- Serves  the document's schemas pipeline (definitions, runs, node runs) and schedule (scheduled actions,
--         execution history). It shows no column of any: all five are not defined in the document.

CREATE SCHEMA pipeline;
CREATE SCHEMA schedule;

COMMENT ON SCHEMA pipeline IS 'Graphs of steps, and every time they were run.';
COMMENT ON SCHEMA schedule IS 'What is to happen when, and what came of it.';

-- not defined in the document
CREATE TABLE pipeline.pipelines (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(100) UNIQUE NOT NULL,
    description TEXT,
    definition JSONB DEFAULT '{}',
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

COMMENT ON TABLE pipeline.pipelines IS 'Definitions of pipelines.';
COMMENT ON COLUMN pipeline.pipelines.definition IS 'The graph: nodes with their settings, and edges.';

-- not defined in the document
CREATE TABLE pipeline.runs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline_id BIGINT NOT NULL REFERENCES pipeline.pipelines(id),
    status VARCHAR(20) DEFAULT 'pending',
    input JSONB DEFAULT '{}',
    output JSONB DEFAULT '{}',
    error TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ
);

CREATE INDEX idx_runs_pipeline ON pipeline.runs(pipeline_id, created_at);
CREATE INDEX idx_runs_status ON pipeline.runs(status);

COMMENT ON TABLE pipeline.runs IS 'Executions of pipelines.';
COMMENT ON COLUMN pipeline.runs.status IS 'pending, running, completed, failed, cancelled.';
COMMENT ON COLUMN pipeline.runs.created_at IS 'When it was queued.';

-- not defined in the document
CREATE TABLE pipeline.node_runs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id BIGINT NOT NULL REFERENCES pipeline.runs(id),
    node_id VARCHAR(100) NOT NULL,
    agent_id BIGINT REFERENCES agent.agents(id),
    status VARCHAR(20) DEFAULT 'pending',
    attempt INTEGER DEFAULT 1,
    input JSONB DEFAULT '{}',
    output JSONB DEFAULT '{}',
    error TEXT,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ
);

CREATE INDEX idx_node_runs_run ON pipeline.node_runs(run_id);
CREATE INDEX idx_node_runs_agent ON pipeline.node_runs(agent_id);

COMMENT ON TABLE pipeline.node_runs IS 'What each node did in a run, a row an attempt.';
COMMENT ON COLUMN pipeline.node_runs.node_id IS 'Name of the node in the definition.';
COMMENT ON COLUMN pipeline.node_runs.status IS 'As in runs, and skipped for a node on a branch not taken.';

-- not defined in the document. Its ids are the action_id of pg_try_advisory_xact_lock(namespace, action_id),
-- whose two keys are integers: MAXVALUE keeps the BIGINT within that range, and a query that passes the
-- column has to say id::INTEGER.
CREATE TABLE schedule.scheduled_actions (
    id BIGINT GENERATED ALWAYS AS IDENTITY (MAXVALUE 2147483647) PRIMARY KEY,
    name VARCHAR(100) UNIQUE NOT NULL,
    description TEXT,
    agent_id BIGINT REFERENCES agent.agents(id),
    action_type VARCHAR(50) NOT NULL,
    cron_expression VARCHAR(100),
    interval_seconds INTEGER,
    config JSONB DEFAULT '{}',
    is_active BOOLEAN DEFAULT TRUE,
    next_run_at TIMESTAMPTZ,
    last_run_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_scheduled_actions_agent ON schedule.scheduled_actions(agent_id);
CREATE INDEX idx_scheduled_actions_next_run ON schedule.scheduled_actions(next_run_at);

COMMENT ON TABLE schedule.scheduled_actions IS 'What to do and when; retired with is_active.';
COMMENT ON COLUMN schedule.scheduled_actions.id IS
    'Second key of the advisory lock by which the instances agree on who runs the action.';
COMMENT ON COLUMN schedule.scheduled_actions.agent_id IS 'Agent that does it; NULL for the system.';
COMMENT ON COLUMN schedule.scheduled_actions.action_type IS
    'What is done: run_agent, run_pipeline, send_message, ...';
COMMENT ON COLUMN schedule.scheduled_actions.cron_expression IS
    'Timing as in crontab. NULL if interval_seconds says it, or if it only runs once, at next_run_at.';
COMMENT ON COLUMN schedule.scheduled_actions.config IS 'Arguments of the action.';

-- not defined in the document
CREATE TABLE schedule.executions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id BIGINT NOT NULL REFERENCES schedule.scheduled_actions(id),
    instance VARCHAR(100),
    status VARCHAR(20) DEFAULT 'running',
    result JSONB DEFAULT '{}',
    error TEXT,
    started_at TIMESTAMPTZ DEFAULT NOW(),
    ended_at TIMESTAMPTZ
);

CREATE INDEX idx_executions_action ON schedule.executions(action_id, started_at);
CREATE INDEX idx_executions_started ON schedule.executions(started_at);

COMMENT ON TABLE schedule.executions IS 'History of the scheduled actions, a row an execution.';
COMMENT ON COLUMN schedule.executions.instance IS 'Process that held the lock: host name, pod, pid.';
COMMENT ON COLUMN schedule.executions.status IS 'running, completed, failed, skipped.';
