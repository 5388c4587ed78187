-- 001_core: what every other file of the pack builds on.
--
-- Holds   schema core: the domain core.label, the trigger function core.touch_updated_at() and
--         core.create_partitions(), which makes the daily partitions of the time-series tables.
-- Serves  no document table; it stands in for GatheRing's "public" schema of common types and functions.
--
-- Rules the whole pack follows:
--
-- Keys    text     for what operators name and processes know before they first connect (agents,
--                  shared state): a log line or a chart then reads without a join.
--         uuid     for what clients create (conversations, messages, memories, tasks, ...): the id is
--                  known before the INSERT, survives a merge of two databases and reveals no volume.
--                  The default is the random gen_random_uuid(), all that PostgreSQL 13 has; a client
--                  that supplies UUIDv7 (uuidv7() on PostgreSQL 18) keeps these indexes dense.
--         bigint   GENERATED ALWAYS AS IDENTITY for append-only rows that nobody refers to: 8 bytes,
--                  always inserted at the right-hand end of the index.
--         A child that is nothing without its parent (a team's member, an agent's version) has the
--         composite key. external_id is the name by which another system knows a row.
--
-- Deletes what is a part of its parent goes with it (ON DELETE CASCADE); what merely refers to another
--         row forgets it (ON DELETE SET NULL); logs carry the agent's name without a foreign key and
--         outlive the agent. Nothing blocks the deletion of an agent.
--
-- States  a list of allowed values is a CHECK only where the list is closed. Where frameworks invent
--         their own words (an agent's state, a severity, a role) the column is a core.label and its
--         comment names the usual words.

CREATE SCHEMA core;

COMMENT ON SCHEMA core IS
    'Shared by the other schemas: the label domain, the updated_at trigger, daily partitions.';

CREATE DOMAIN core.label AS text
    CONSTRAINT label_not_blank CHECK (btrim(VALUE) <> '')
    CONSTRAINT label_length CHECK (char_length(VALUE) <= 255);

COMMENT ON DOMAIN core.label IS
    'A name, state or type: not blank, at most 255 characters, so that it always fits an index entry. '
    'The vocabulary is open.';

CREATE FUNCTION core.touch_updated_at()
RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION core.touch_updated_at() IS
    'BEFORE UPDATE row trigger: stamps updated_at with the start of the transaction. An INSERT keeps '
    'the value it brings, so an import preserves history.';

CREATE FUNCTION core.create_partitions(parent regclass, from_day date, to_day date)
RETURNS integer
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    schema_name    name;
    parent_name    name;
    owner_name     name;
    day            date;
    partition_name name;
    problem        text;
    created        integer := 0;
BEGIN
    SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner)
    INTO schema_name, parent_name, owner_name
    FROM pg_partitioned_table AS p
    JOIN pg_class AS c ON c.oid = p.partrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent
      AND p.partstrat = 'r'
      AND p.partnatts = 1
      AND a.atttypid = 'timestamptz'::regtype;

    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not partitioned by range on one timestamptz column', parent
            USING ERRCODE = 'wrong_object_type';
    END IF;
    IF from_day IS NULL OR to_day IS NULL OR to_day < from_day OR to_day - from_day >= 1000 THEN
        RAISE EXCEPTION 'cannot create partitions of % from % to %', parent, from_day, to_day
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a first and a last day, in this order, at most 1000 days in all.';
    END IF;

    -- The lock that ATTACH PARTITION takes anyway: a second caller waits here instead of failing on a
    -- name that is already taken; reads and writes go on.
    EXECUTE format('LOCK TABLE ONLY %I.%I IN SHARE UPDATE EXCLUSIVE MODE', schema_name, parent_name);

    FOR day IN SELECT from_day + n FROM generate_series(0, to_day - from_day) AS n LOOP
        partition_name := left(parent_name, 54) || '_' || to_char(day, 'YYYYMMDD');

        CONTINUE WHEN EXISTS (
            SELECT
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent
              AND c.relname = partition_name
        );

        BEGIN
            -- CREATE TABLE ... PARTITION OF would lock the parent ACCESS EXCLUSIVE; a plain table that
            -- is attached afterwards does not hold up the writers of the other days.
            EXECUTE format(
                'CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                'INCLUDING GENERATED INCLUDING STORAGE)',
                schema_name, partition_name, schema_name, parent_name
            );
            IF owner_name <> current_user THEN
                EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', schema_name, partition_name, owner_name);
            END IF;
            EXECUTE format(
                'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                schema_name, parent_name, schema_name, partition_name,
                to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00'
            );
            created := created + 1;
        EXCEPTION
            WHEN check_violation THEN
                RAISE WARNING 'no partition of % for %: the default partition already holds rows of that day',
                    parent, day
                    USING HINT = 'They stay readable and are purged from the default partition row by row; '
                                 'move them out of it first if the day needs a partition of its own.';
            WHEN duplicate_table OR invalid_object_definition THEN
                GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
                RAISE WARNING 'no partition of % for %: %', parent, day, problem
                    USING HINT = 'A detached table of that name, or a partition with other bounds, is in the way.';
        END;
    END LOOP;

    RETURN created;
END
$function$;

COMMENT ON FUNCTION core.create_partitions(regclass, date, date) IS
    'Creates the missing daily partitions of a table from from_day to to_day, both included, days in UTC, '
    'named <table>_YYYYMMDD, and returns how many it created: call it as often as you like. A day whose rows '
    'are already in the default partition is skipped with a WARNING, since PostgreSQL refuses to create that '
    'partition and one late day must not keep the days after it from being prepared. The caller needs the '
    'rights of the table''s owner, who also becomes the owner of the partitions.';
