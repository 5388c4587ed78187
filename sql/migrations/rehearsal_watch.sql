-- title: what a rehearsal adds to its scratch database, to look on when a file is committed
-- Each file, and each statement of a file without a transaction, writes to one of two tracking
-- tables (:table, :unfinished) in its own transaction: a deferred trigger on them sees the locks
-- that are held just before the commit.
CREATE SCHEMA agentdb_rehearsal;
CREATE TABLE agentdb_rehearsal.known (
    relation oid PRIMARY KEY,
    name     text NOT NULL,
    kind     "char" NOT NULL,
    file     oid NOT NULL,
    of_table oid
);
CREATE TABLE agentdb_rehearsal.held (
    relation oid NOT NULL,
    mode     text NOT NULL
);
CREATE FUNCTION agentdb_rehearsal.look() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO agentdb_rehearsal.held
    SELECT l.relation, l.mode
    FROM pg_catalog.pg_locks AS l
    JOIN agentdb_rehearsal.known USING (relation)
    WHERE l.pid = pg_catalog.pg_backend_pid()
      AND l.locktype = 'relation'
      AND l.granted;
    RETURN NULL;
END$$;
CREATE CONSTRAINT TRIGGER agentdb_rehearsal AFTER INSERT ON :table
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION agentdb_rehearsal.look();
CREATE CONSTRAINT TRIGGER agentdb_rehearsal AFTER UPDATE ON :unfinished
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION agentdb_rehearsal.look();
