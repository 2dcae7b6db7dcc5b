-- The tables of variants, in the database of their own, owned by the role `variants`. Applying it twice changes nothing.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT 'CREATE ROLE variant_reader NOLOGIN'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'variant_reader') \gexec
GRANT variant_reader TO exporter, grafana_reader;

\connect variants
SET client_min_messages = warning;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SET ROLE variants;
\ir variants/001_tables.sql
\ir variants/002_indexes.sql
\ir variants/003_reader.sql
\ir variants/004_notify.sql
GRANT USAGE ON SCHEMA public TO variants_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON variants, variant_monitoring, variant_kills, dashboard_events TO variants_writer;
