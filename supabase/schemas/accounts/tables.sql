-- Users and their sessions. The logins themselves (e-mail, password) are Supabase Auth's.

create type user_role as enum ('ADMIN', 'CLIENT');

create table users (
  id bigint generated always as identity primary key,
  auth_user_id uuid unique references auth.users (id) on delete cascade,
  email text not null check (length(email) <= 254),
  name text not null default '' check (length(name) <= 200),
  role user_role not null default 'CLIENT',
  client_id bigint references clients (id),
  sessions_valid_from timestamptz not null default '-infinity',
  must_change_password boolean not null default false,
  search_text text not null generated always as (lower(email || ' ' || name)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_client_has_client_id check (role = 'ADMIN' or client_id is not null)
);
comment on column users.must_change_password is 'The login still has the one-time password that the shop gave it.';
comment on column users.sessions_valid_from is 'Access tokens issued before it are refused; set by a change of password or role.';
create index users_by_client on users (client_id);
create index users_by_created on users (created_at desc, id desc);
create index users_by_text on users using gin (search_text extensions.gin_trgm_ops);
create index users_by_ngrams on users using gin (search_ngrams(search_text));

create table closed_logins (
  user_id bigint primary key,
  auth_user_id uuid not null unique references auth.users (id) on delete cascade,
  closed_at timestamptz not null default now()
);
comment on table closed_logins is 'Logins of deleted users that are still to be deleted in Supabase Auth; they are refused.';

create table revoked_sessions (
  session_id uuid primary key,
  user_id bigint not null references users (id) on delete cascade,
  revoked_at timestamptz not null default now()
);
create index revoked_sessions_by_user on revoked_sessions (user_id);
create index revoked_sessions_by_age on revoked_sessions (revoked_at);

create table login_attempts (
  subject text primary key check (subject ~ '^[0-9a-f]{64}$'),
  level_milli bigint not null,
  counted_at timestamptz not null
);
comment on table login_attempts is 'Recent attempts to log in or to request an e-mail, by a keyed hash of the account or of the source address.';
comment on column login_attempts.level_milli is 'Attempts counted and not yet regained, in thousandths, as of counted_at.';
create index login_attempts_by_age on login_attempts (counted_at);
create trigger set_updated_at before update on users for each row execute function set_updated_at();
