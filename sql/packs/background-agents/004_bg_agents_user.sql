-- 004_bg_agents_user: the role as which the agents connect, with the least it needs.
--
-- Holds   no object of the schema; the role bg_agents_user and its privileges.
-- Serves  the user management of the document: CONNECT on the database, USAGE on the schema, SELECT, INSERT,
--         UPDATE and DELETE on all tables, USAGE and SELECT on all sequences.
--
-- Database and schema are the current ones, whatever they are called. The role is created without password
-- and cannot log in until an administrator decides so:
--
--   ALTER ROLE bg_agents_user LOGIN;   and then, in psql:   \password bg_agents_user
--
-- Going further than the document: default privileges, so that what the owner of the tables adds later is
-- covered, too. Falling behind it on purpose: agentdb_migrations, the record of what has been applied, can be
-- read (a dump needs that) but not written.
--
-- What the executing role may not grant is left out with a WARNING that names it. The file may be run again
-- at any time, for example by an administrator with psql, to make up for that.

DO $block$
DECLARE
    owner_name name;
    tables     text;
    sequences  text;
    left_out   text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'bg_agents_user') THEN
        BEGIN
            CREATE ROLE bg_agents_user NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;  -- created by someone else at this moment
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role bg_agents_user is missing and % may not create it, so nothing is granted: '
                    'have an administrator run 004_bg_agents_user.sql with psql', current_user;
                RETURN;
        END;
    END IF;

    IF has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO bg_agents_user', current_database());
    ELSE
        left_out := format('CONNECT ON DATABASE %I', current_database());
    END IF;

    IF has_schema_privilege(current_schema(), 'USAGE WITH GRANT OPTION') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO bg_agents_user', current_schema());
    ELSE
        left_out := concat_ws(', ', left_out, format('USAGE ON SCHEMA %I', current_schema()));
    END IF;

    -- What ON ALL TABLES and ON ALL SEQUENCES stand for, without those of other owners, at which they fail.
    SELECT
        string_agg(format('%I.%I', current_schema(), relname), ', ') FILTER (WHERE relkind <> 'S'),
        string_agg(format('%I.%I', current_schema(), relname), ', ') FILTER (WHERE relkind = 'S')
    INTO tables, sequences
    FROM pg_catalog.pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace
      AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND pg_has_role(relowner, 'USAGE');

    IF tables IS NOT NULL THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO bg_agents_user', tables);
    END IF;
    IF sequences IS NOT NULL THEN
        EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO bg_agents_user', sequences);
    END IF;
    IF EXISTS (
        SELECT
        FROM pg_catalog.pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace
          AND relname = 'agentdb_migrations'
          AND pg_has_role(relowner, 'USAGE')
    ) THEN
        EXECUTE format(
            'REVOKE INSERT, UPDATE, DELETE ON TABLE %I.agentdb_migrations FROM bg_agents_user', current_schema()
        );
    END IF;

    -- The owner and not the current user: when an administrator runs this file, it is the owner who goes on
    -- adding tables.
    SELECT pg_get_userbyid(relowner)
    INTO owner_name
    FROM pg_catalog.pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace
      AND relname = 'agents';

    IF pg_has_role(owner_name, 'USAGE') THEN
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
            'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bg_agents_user',
            owner_name, current_schema()
        );
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO bg_agents_user',
            owner_name, current_schema()
        );
    ELSE
        left_out := concat_ws(', ', left_out, format('the privileges on the tables of %I', owner_name));
    END IF;

    IF left_out IS NOT NULL THEN
        RAISE WARNING '% may not grant % to bg_agents_user: have the owner do that', current_user, left_out;
    END IF;
END
$block$;
