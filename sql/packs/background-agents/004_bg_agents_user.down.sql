-- Undoes 004_bg_agents_user, except for the role itself: other databases of the server may use it, and its
-- password cannot be made again. To be rid of it: DROP ROLE bg_agents_user.

DO $block$
DECLARE
    owner_name name;
    tables     text;
    sequences  text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'bg_agents_user') THEN
        RETURN;
    END IF;

    SELECT pg_get_userbyid(relowner)
    INTO owner_name
    FROM pg_catalog.pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace
      AND relname = 'agents';

    IF pg_has_role(owner_name, 'USAGE') THEN
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
            'REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM bg_agents_user',
            owner_name, current_schema()
        );
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I REVOKE USAGE, SELECT ON SEQUENCES FROM bg_agents_user',
            owner_name, current_schema()
        );
    END IF;

    SELECT
        string_agg(format('%I.%I', current_schema(), relname), ', ') FILTER (WHERE relkind <> 'S'),
        string_agg(format('%I.%I', current_schema(), relname), ', ') FILTER (WHERE relkind = 'S')
    INTO tables, sequences
    FROM pg_catalog.pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace
      AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND pg_has_role(relowner, 'USAGE');

    IF tables IS NOT NULL THEN
        EXECUTE format('REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLE %s FROM bg_agents_user', tables);
    END IF;
    IF sequences IS NOT NULL THEN
        EXECUTE format('REVOKE USAGE, SELECT ON SEQUENCE %s FROM bg_agents_user', sequences);
    END IF;
    IF has_schema_privilege(current_schema(), 'USAGE WITH GRANT OPTION') THEN
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM bg_agents_user', current_schema());
    END IF;

    -- CONNECT is for the whole database: it stays as long as the role has anything else in it.
    IF has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION')
        AND NOT EXISTS (
            SELECT
            FROM pg_catalog.pg_shdepend
            WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
              AND refclassid = 'pg_catalog.pg_authid'::regclass
              AND refobjid = 'bg_agents_user'::regrole
        )
    THEN
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM bg_agents_user', current_database());
    END IF;
END
$block$;
