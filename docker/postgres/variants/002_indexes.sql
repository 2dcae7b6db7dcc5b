-- What the exporter's queries and the dashboards' event feed need to stay under 50 ms at a million rows.
-- On a large table that is in use, create these by hand with `create index concurrently` under the same names.

-- personas; rows by status; active variants
create index if not exists variants_persona_status on variants (persona_id, status);
-- latest posts of a persona
create index if not exists variants_persona_posted on variants (persona_id, posted_at desc);
-- newest update of a persona
create index if not exists variant_monitoring_persona_updated on variant_monitoring (persona_id, last_updated desc);
-- was this variant killed?
create index if not exists variant_kills_variant on variant_kills (variant_id);
-- recent kills of a persona
create index if not exists variant_kills_persona_killed on variant_kills (persona_id, killed_at desc);
-- the feed, whole and of one persona
create index if not exists dashboard_events_created on dashboard_events (created_at desc);
create index if not exists dashboard_events_persona_created on dashboard_events (persona_id, created_at desc);
