-- Roles and the database of MLflow, made once, when the volume is new. Run by psql of the image's entrypoint.
--   mlflow    owns the database: the MLflow server's role
--   exporter  reads it and can do nothing else
\set ON_ERROR_STOP on
\set mlflow_password `cat "${SECRETS_DIR:-/run/secrets}/mlflow_password"`
\set exporter_password `cat "${SECRETS_DIR:-/run/secrets}/exporter_password"`

-- Neither the statements nor their parameters go to the log: they hold the passwords.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;

CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE exporter LOGIN PASSWORD :'exporter_password' CONNECTION LIMIT 10;
ALTER ROLE exporter SET default_transaction_read_only = on;
ALTER ROLE exporter SET statement_timeout = '30s';
ALTER ROLE exporter SET idle_in_transaction_session_timeout = '60s';

CREATE DATABASE mlflow OWNER mlflow;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
GRANT CONNECT ON DATABASE mlflow TO exporter;

\connect mlflow
-- The owner of the database owns this schema's rights through pg_database_owner; nobody else may create in it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO exporter;
-- MLflow makes its tables later, and more of them with each release.
ALTER DEFAULT PRIVILEGES FOR ROLE mlflow IN SCHEMA public GRANT SELECT ON TABLES TO exporter;
