-- 013_projects: work to be done, and who does it.
--
-- Holds   schema project: projects, tasks.
-- Serves  GatheRing project: projects, tasks.
-- Uses    text_search_config.

CREATE SCHEMA project;

COMMENT ON SCHEMA project IS 'Work to be done: projects and their tasks.';

CREATE TABLE project.projects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name core.label NOT NULL,
    description text,
    status core.label NOT NULL DEFAULT 'active',
    owner_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    team_id uuid REFERENCES team.teams (id) ON DELETE SET NULL,
    config jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX projects_owner_idx ON project.projects (owner_id);
CREATE INDEX projects_team_idx ON project.projects (team_id);

CREATE TRIGGER projects_touch_updated_at
    BEFORE UPDATE ON project.projects
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE project.projects IS 'What tasks are gathered under. Deleting a project deletes its tasks.';
COMMENT ON COLUMN project.projects.status IS 'active, paused, completed, archived.';
COMMENT ON COLUMN project.projects.owner_id IS 'User who answers for the project.';
COMMENT ON COLUMN project.projects.team_id IS 'Team that works on it.';
COMMENT ON COLUMN project.projects.config IS 'Repository, directories, conventions: what agents must know.';

CREATE TABLE project.tasks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id uuid NOT NULL REFERENCES project.projects (id) ON DELETE CASCADE,
    parent_task_id uuid REFERENCES project.tasks (id) ON DELETE CASCADE
        CONSTRAINT tasks_not_own_parent CHECK (parent_task_id <> id),
    title text NOT NULL CONSTRAINT tasks_title_not_blank CHECK (btrim(title) <> ''),
    description text,
    status core.label NOT NULL DEFAULT 'pending',
    priority core.label NOT NULL DEFAULT 'medium',
    position integer,
    assigned_agent_id core.label REFERENCES agent.agents (id) ON UPDATE CASCADE ON DELETE SET NULL,
    created_by uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    result jsonb,
    metadata jsonb NOT NULL DEFAULT '{}',
    due_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    content_tsv tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector(:'text_search_config', left(title, 16384)), 'A')
        || setweight(to_tsvector(:'text_search_config', left(coalesce(description, ''), 49152)), 'B')
    ) STORED
);

CREATE INDEX tasks_project_idx ON project.tasks (project_id, position);
CREATE INDEX tasks_parent_idx ON project.tasks (parent_task_id);
CREATE INDEX tasks_agent_idx ON project.tasks (assigned_agent_id, status);
CREATE INDEX tasks_created_by_idx ON project.tasks (created_by);
CREATE INDEX tasks_due_idx ON project.tasks (due_at) WHERE completed_at IS NULL;
CREATE INDEX tasks_content_idx ON project.tasks USING gin (content_tsv);

CREATE TRIGGER tasks_touch_updated_at
    BEFORE UPDATE ON project.tasks
    FOR EACH ROW EXECUTE FUNCTION core.touch_updated_at();

COMMENT ON TABLE project.tasks IS 'Units of work. Deleting a task deletes its sub-tasks.';
COMMENT ON COLUMN project.tasks.status IS 'pending, in_progress, blocked, review, completed, cancelled.';
COMMENT ON COLUMN project.tasks.priority IS 'low, medium, high, critical.';
COMMENT ON COLUMN project.tasks.position IS 'Order within the project; NULL if it does not matter.';
COMMENT ON COLUMN project.tasks.assigned_agent_id IS 'Agent at work on it; NULL returns it to the pool.';
COMMENT ON COLUMN project.tasks.result IS 'What came out: files, links, summary.';
COMMENT ON COLUMN project.tasks.completed_at IS 'NULL while the task is open.';
COMMENT ON COLUMN project.tasks.content_tsv IS
    'Lexemes of the beginnings of title (weight A) and description (weight B); generated.';
COMMENT ON INDEX project.tasks_due_idx IS 'Open tasks by due date, however many are done.';
