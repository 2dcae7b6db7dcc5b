-- Optional: announce every change, so that it is in /metrics within 100 ms. Without these triggers the exporter polls.
-- The payload names the table and the persona and holds no content; without a persona it means "read everything".
-- Cost: transactions that change these tables commit one after the other, as NOTIFY needs a lock at commit.

create or replace function variant_announce() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
declare
    personas text[];
    persona  text;
begin
    if tg_op = 'INSERT' then
        personas := array(select distinct persona_id::text from new_rows limit 101);
    elsif tg_op = 'DELETE' then
        personas := array(select distinct persona_id::text from old_rows limit 101);
    elsif tg_op = 'UPDATE' then
        personas := array(select persona_id::text from new_rows union select persona_id::text from old_rows limit 101);
    end if;
    -- A truncated table, a change of very many personas: one word for all. A payload holds at most 8000 bytes.
    if personas is null or cardinality(personas) > 100
        or exists (select from unnest(personas) as p (id) where id is null or octet_length(id) > 1000) then
        perform pg_notify('variant_changes', json_build_object('table', tg_table_name)::text);
        return null;
    end if;
    foreach persona in array personas loop
        perform pg_notify('variant_changes', json_build_object('table', tg_table_name, 'persona', persona)::text);
    end loop;
    return null;
end
$$;

do $$
declare
    watched text;
begin
    foreach watched in array array['variants', 'variant_monitoring', 'variant_kills', 'dashboard_events'] loop
        if not exists (
            select from pg_catalog.pg_trigger where tgrelid = watched::regclass and tgname = 'variant_announce_insert'
        ) then
            -- Once a statement, not once a row: an update of 10,000 rows of a persona is one notification.
            execute format('create trigger variant_announce_insert after insert on %s
                referencing new table as new_rows for each statement execute function variant_announce()', watched);
            execute format('create trigger variant_announce_update after update on %s
                referencing old table as old_rows new table as new_rows
                for each statement execute function variant_announce()', watched);
            execute format('create trigger variant_announce_delete after delete on %s
                referencing old table as old_rows for each statement execute function variant_announce()', watched);
            execute format('create trigger variant_announce_truncate after truncate on %s
                for each statement execute function variant_announce()', watched);
        end if;
    end loop;
end
$$;
