-- Roles and databases. Run by psql of the image's entrypoint when the volume is new, and again by every `make deploy`:
-- applying it twice changes nothing but passwords, which become what the secrets say.
--   database mlflow    mlflow     owns it: makes and changes MLflow's tables (`mlflow db upgrade`)
--                      mlflow_writer    reads and writes rows: the MLflow server
--   database variants  variants   owns it; variants_writer reads and writes rows: your system
--   exporter           reads both and can do nothing else
--   grafana_reader     reads the variants, for the feed of events
--   monitor            reads PostgreSQL's statistics: postgres-exporter
\set ON_ERROR_STOP on
\set mlflow_password `cat "${SECRETS_DIR:-/run/secrets}/mlflow_password"`
\set mlflow_writer_password `cat "${SECRETS_DIR:-/run/secrets}/mlflow_writer_password"`
\set variants_password `cat "${SECRETS_DIR:-/run/secrets}/variants_password"`
\set variants_writer_password `cat "${SECRETS_DIR:-/run/secrets}/variants_writer_password"`
\set exporter_password `cat "${SECRETS_DIR:-/run/secrets}/exporter_password"`
\set grafana_reader_password `cat "${SECRETS_DIR:-/run/secrets}/grafana_reader_password"`
\set monitor_password `cat "${SECRETS_DIR:-/run/secrets}/monitor_password"`

-- Neither the statements nor their parameters go to the log: they hold the passwords.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET client_min_messages = warning;

SELECT '' IN (
    :'mlflow_password', :'mlflow_writer_password', :'variants_password', :'variants_writer_password',
    :'exporter_password', :'grafana_reader_password', :'monitor_password'
) AS password_missing \gset
\if :password_missing
DO $$ BEGIN RAISE EXCEPTION 'a file of a password is missing or empty'; END $$;
\endif

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY[
    'mlflow', 'mlflow_writer', 'variants', 'variants_writer', 'exporter', 'grafana_reader', 'monitor'
]) AS name
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) \gexec

ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE mlflow_writer PASSWORD :'mlflow_writer_password';
ALTER ROLE variants PASSWORD :'variants_password';
ALTER ROLE variants_writer PASSWORD :'variants_writer_password';
ALTER ROLE exporter PASSWORD :'exporter_password' CONNECTION LIMIT 10;
ALTER ROLE grafana_reader PASSWORD :'grafana_reader_password' CONNECTION LIMIT 20;
ALTER ROLE monitor PASSWORD :'monitor_password' CONNECTION LIMIT 5;

-- Who only reads can neither write by mistake nor hold the database up.
SELECT format('ALTER ROLE %I SET %s', name, setting)
FROM unnest(ARRAY['exporter', 'grafana_reader', 'monitor']) AS name,
    unnest(ARRAY[
        'default_transaction_read_only = on', 'statement_timeout = ''30s''',
        'idle_in_transaction_session_timeout = ''60s'''
    ]) AS setting \gexec

GRANT pg_monitor TO monitor;

SELECT format('CREATE DATABASE %I OWNER %I', name, name)
FROM unnest(ARRAY['mlflow', 'variants']) AS name
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
REVOKE ALL ON DATABASE variants FROM PUBLIC;
GRANT CONNECT ON DATABASE mlflow TO mlflow_writer, exporter, monitor;
GRANT CONNECT ON DATABASE variants TO variants_writer, exporter, grafana_reader, monitor;

\connect mlflow
-- The owner of the database owns this schema's rights through pg_database_owner; nobody else may create in it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mlflow_writer, exporter;
-- MLflow makes its tables later, and more of them with each release.
ALTER DEFAULT PRIVILEGES FOR ROLE mlflow IN SCHEMA public GRANT SELECT ON TABLES TO exporter;
ALTER DEFAULT PRIVILEGES FOR ROLE mlflow IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO mlflow_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE mlflow IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO mlflow_writer;
-- Tables that are there already.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO exporter;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO mlflow_writer;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO mlflow_writer;
