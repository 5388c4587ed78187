-- Undoes 001_core. Without CASCADE: it stops if anything still uses these objects.

DROP FUNCTION core.create_partitions(regclass, date, date);
DROP FUNCTION core.touch_updated_at();
DROP DOMAIN core.label;
DROP SCHEMA core;
