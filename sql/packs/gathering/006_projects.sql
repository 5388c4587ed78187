-- 006_projects: work to be done, and who does it.
--
-- Holds   schema project: projects, tasks.
-- Serves  the document's schema project. It says what the schema is for and shows no table: these two are
--         not defined in the document.

CREATE SCHEMA project;

COMMENT ON SCHEMA project IS 'Work to be done: projects and their tasks.';

-- not defined in the document
CREATE TABLE project.projects (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name VARCHAR(100) UNIQUE NOT NULL,
    display_name VARCHAR(200),
    description TEXT,
    circle_id BIGINT REFERENCES circle.circles(id),
    config JSONB DEFAULT '{}',
    status VARCHAR(20) DEFAULT 'active',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_projects_circle ON project.projects(circle_id);

COMMENT ON TABLE project.projects IS 'What tasks are gathered under.';
COMMENT ON COLUMN project.projects.circle_id IS 'Circle that works on it.';
COMMENT ON COLUMN project.projects.status IS 'active, paused, completed, archived.';

-- not defined in the document
CREATE TABLE project.tasks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES project.projects(id),
    parent_id BIGINT REFERENCES project.tasks(id),
    agent_id BIGINT REFERENCES agent.agents(id),
    title VARCHAR(200) NOT NULL,
    description TEXT,
    status VARCHAR(20) DEFAULT 'pending',
    priority INTEGER DEFAULT 0,
    result JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW(),
    completed_at TIMESTAMPTZ
);

CREATE INDEX idx_tasks_project ON project.tasks(project_id, status);
CREATE INDEX idx_tasks_parent ON project.tasks(parent_id);
CREATE INDEX idx_tasks_agent ON project.tasks(agent_id, status);

COMMENT ON TABLE project.tasks IS 'Units of work.';
COMMENT ON COLUMN project.tasks.parent_id IS 'Task of which this one is a part.';
COMMENT ON COLUMN project.tasks.agent_id IS 'Agent at work on it; NULL while nobody is.';
COMMENT ON COLUMN project.tasks.status IS 'pending, in_progress, blocked, completed, cancelled.';
COMMENT ON COLUMN project.tasks.priority IS 'The higher, the sooner.';
