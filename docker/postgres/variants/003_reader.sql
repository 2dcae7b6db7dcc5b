-- A role that may read the four tables and nothing else. It cannot log in: make a user with a password of your own
-- and `grant variant_reader to that_user`. The exporter and Grafana need no more than this.

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'variant_reader') then
        create role variant_reader nologin;
    end if;
end
$$;

-- The schema that the tables are in, whatever its name.
do $$
declare
    home text := (select relnamespace::regnamespace::text from pg_catalog.pg_class where oid = 'variants'::regclass);
begin
    execute format('grant usage on schema %s to variant_reader', home);
end
$$;

grant select on variants, variant_monitoring, variant_kills, dashboard_events to variant_reader;
