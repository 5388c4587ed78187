-- 014_schedules: what is to happen when, and what came of it.
--
-- Holds   schema schedule: actions, executions.
-- Serves  GatheRing schedule: scheduled actions, execution history.

CREATE SCHEMA schedule;

COMMENT ON SCHEMA schedule IS 'Recurring and planned work: actions and their executions.';

CREATE TABLE schedule.actions (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name core.label NOT NULL CONSTRAINT actions_name_key UNIQUE,
    description text,
    action_type core.label NOT NULL,
    agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE CASCADE,
    cron_expression core.label,
    every interval CONSTRAINT actions_every_positive CHECK (every > interval '0'),
    run_at timestamptz,
    time_zone core.label NOT NULL DEFAULT 'UTC',
    payload jsonb NOT NULL DEFAULT '{}',
    is_enabled boolean NOT NULL DEFAULT true,
    max_attempts integer NOT NULL DEFAULT 1 CONSTRAINT actions_max_attempts_positive CHECK (max_attempts > 0),
    next_run_at timestamptz,
    last_run_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT actions_at_most_one_timing CHECK (num_nonnulls(cron_expression, every, run_at) <= 1)
);

CREATE INDEX actions_agent_idx ON schedule.actions (agent_id);
CREATE INDEX actions_due_idx ON schedule.actions (next_run_at) WHERE is_enabled;

CREATE TRIGGER actions_touch_updated_at
    BEFORE UPDATE ON schedule.actions
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE schedule.actions IS
    'What to do and when. To retire one clear is_enabled: deleting it deletes its executions.';
COMMENT ON COLUMN schedule.actions.id IS
    'integer, unlike other keys: it is the second key of pg_try_advisory_xact_lock(integer, integer), by '
    'which the instances of a scheduler agree on who runs an action.';
COMMENT ON COLUMN schedule.actions.action_type IS 'What is done: run_pipeline, send_message, run_agent, ...';
COMMENT ON COLUMN schedule.actions.agent_id IS
    'Agent that does it; NULL for the system. It goes with the agent: it must not run as the system instead.';
COMMENT ON COLUMN schedule.actions.cron_expression IS 'Timing as in crontab, in time_zone.';
COMMENT ON COLUMN schedule.actions.every IS 'Timing as a fixed distance between runs.';
COMMENT ON COLUMN schedule.actions.run_at IS
    'Timing as one moment. Without any of the three the action only runs when it is asked to.';
COMMENT ON COLUMN schedule.actions.time_zone IS 'Time zone of cron_expression, for example Europe/Paris.';
COMMENT ON COLUMN schedule.actions.payload IS 'Arguments of the action.';
COMMENT ON COLUMN schedule.actions.max_attempts IS 'How often one scheduled run is tried before it counts as failed.';
COMMENT ON COLUMN schedule.actions.next_run_at IS 'When it is due next, as the scheduler worked out; NULL if never.';
COMMENT ON INDEX schedule.actions_due_idx IS 'What the scheduler polls.';

CREATE TABLE schedule.executions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id integer NOT NULL REFERENCES schedule.actions (id) ON DELETE CASCADE,
    scheduled_for timestamptz NOT NULL DEFAULT now(),
    attempt integer NOT NULL DEFAULT 1 CONSTRAINT executions_attempt_positive CHECK (attempt > 0),
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT executions_status_known
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    instance core.label,
    result jsonb,
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT executions_attempt_key UNIQUE (action_id, scheduled_for, attempt),
    CONSTRAINT executions_end_after_start CHECK (finished_at >= started_at)
);

CREATE INDEX executions_created_idx ON schedule.executions (created_at);
CREATE INDEX executions_failed_idx ON schedule.executions (created_at) WHERE status = 'failed';

COMMENT ON TABLE schedule.executions IS 'History of the actions, a row an attempt.';
COMMENT ON COLUMN schedule.executions.scheduled_for IS 'The moment for which it was due, not when it started.';
COMMENT ON COLUMN schedule.executions.attempt IS '1 for the first try, one more for each retry.';
COMMENT ON COLUMN schedule.executions.status IS
    'skipped: the action was due but another instance or an earlier run held it.';
COMMENT ON COLUMN schedule.executions.instance IS 'Process that ran it: host name, pod, pid.';
COMMENT ON COLUMN schedule.executions.error IS 'Why the attempt failed; NULL otherwise.';
COMMENT ON CONSTRAINT executions_attempt_key ON schedule.executions IS
    'Keeps two instances from running the same attempt even if the advisory lock is bypassed.';
