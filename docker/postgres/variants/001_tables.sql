-- The four tables of a variant system. A system that has them already keeps its own: nothing here alters a table.
-- Applying a file twice changes nothing. Apply in order of the names: psql --set ON_ERROR_STOP=1 --file 001_tables.sql ...

create table if not exists variants (
    id           text primary key,
    persona_id   text not null,
    content      text not null,
    predicted_er double precision check (predicted_er between 0 and 1),
    pattern_used text,
    status       text not null default 'draft',
    posted_at    timestamptz,
    created_at   timestamptz not null default now()
);

create table if not exists variant_monitoring (
    id                bigint generated always as identity primary key,
    variant_id        text not null unique references variants (id) on delete cascade,
    persona_id        text not null,
    current_er        double precision check (current_er between 0 and 1),
    interaction_count bigint not null default 0 check (interaction_count >= 0),
    view_count        bigint not null default 0 check (view_count >= 0),
    status            text not null default 'active',
    last_updated      timestamptz not null default now(),
    created_at        timestamptz not null default now()
);

-- No foreign key: the record of a kill outlives its variant.
create table if not exists variant_kills (
    id                    bigint generated always as identity primary key,
    variant_id            text not null,
    persona_id            text not null,
    reason                text not null,
    final_engagement_rate double precision check (final_engagement_rate between 0 and 1),
    sample_size           bigint check (sample_size >= 0),
    posted_at             timestamptz,
    killed_at             timestamptz not null default now(),
    check (killed_at >= posted_at)
);

-- No foreign key, and persona and variant may be absent: an event can be about anything.
create table if not exists dashboard_events (
    id         bigint generated always as identity primary key,
    event_type text not null,
    persona_id text,
    variant_id text,
    event_data jsonb not null default '{}',
    created_at timestamptz not null default now()
);
