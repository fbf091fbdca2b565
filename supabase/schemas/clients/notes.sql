-- The shop's notes about clients.

create table client_notes (
  id bigint generated always as identity primary key,
  client_id bigint not null references clients (id) on delete cascade,
  author_id bigint references users (id) on delete set null,
  author text not null check (length(author) <= 254),
  body text not null check (length(body) between 1 and 2000),
  created_at timestamptz not null default now()
);
comment on table client_notes is 'Internal notes of the shop; no client sees them.';
create index client_notes_by_client on client_notes (client_id, id desc);
create index client_notes_by_author on client_notes (author_id);
