-- title: remember which model the vectors of a column were made with
-- :schema: where migrations are tracked. $1, $2: the table's schema and name, $3: the column,
-- $4: the model.
CREATE TABLE IF NOT EXISTS :schema.agentdb_embedding_models (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    column_name text NOT NULL,
    model text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (table_schema, table_name, column_name)
);
INSERT INTO :schema.agentdb_embedding_models (table_schema, table_name, column_name, model)
VALUES ($1, $2, $3, $4)
ON CONFLICT (table_schema, table_name, column_name)
DO UPDATE SET model = EXCLUDED.model, recorded_at = EXCLUDED.recorded_at;
