-- The SQL of the document of Project 2501, in its order; test_documents.py says how it is read.
--
-- Its database is called project2501. The tables that it lists are in schemas/.

-- # Migration Management / Example Migration
-- outside-transaction
-- Migration 009: Add feature X
BEGIN;

ALTER TABLE modules
ADD COLUMN new_field VARCHAR(255);

COMMIT;

-- Rollback:
ALTER TABLE modules DROP COLUMN new_field;

-- # Connection Health / Pre-Ping
-- SQLAlchemy automatically pings with:
-- expect: rows
SELECT 1;

-- # Troubleshooting / Migration Issues
-- outside-transaction
-- Manual rollback if needed (psql -c opens a session of its own, in which there is nothing to roll back)
-- expect: notice there is no transaction in progress
ROLLBACK;
