-- Gapless numbers of quotes and invoices.

create table number_sequences (
  kind text primary key check (kind in ('quote', 'invoice')),
  last_number bigint not null default 0 check (last_number >= 0),
  updated_at timestamptz not null default now()
);

-- Draws the next quote or invoice number, gapless: inside the caller's transaction, so that a rollback returns it. The
-- row lock makes concurrent callers wait until commit, so call it as late as possible.
create function next_document_number(kind text, default_prefix text) returns text
language plpgsql volatile set search_path = public, pg_temp
as $$
declare
  drawn bigint;
  prefix text;
begin
  insert into number_sequences as s (kind, last_number) values (next_document_number.kind, 1)
  on conflict on constraint number_sequences_pkey do update set last_number = s.last_number + 1
  returning s.last_number into drawn;
  select case next_document_number.kind when 'quote' then quote_prefix when 'invoice' then invoice_prefix end
    into prefix from settings;
  return coalesce(prefix, default_prefix) || lpad(drawn::text, greatest(4, length(drawn::text)), '0');
end
$$;
create trigger set_updated_at before update on number_sequences for each row execute function set_updated_at();
