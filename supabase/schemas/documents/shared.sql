-- What quotes and invoices share. Money is integers in the document currency's minor units (_cents), rates are basis
-- points (_bps), quantities thousandths (_milli), lengths whole millimetres unless the name says otherwise.

create type discount_type as enum ('NONE', 'PERCENT', 'FIXED');

-- Trigger: a quote or invoice is searched by its number and its client's names, without a join.
create function set_document_search_text() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
begin
  select lower(new.number || ' ' || c.name || ' ' || c.company) into new.search_text from clients c where c.id = new.client_id;
  return new;
end
$$;

-- Deferred trigger: at commit, a document's lines must sum to its subtotal.
create function check_subtotal() returns trigger
language plpgsql set search_path = public, pg_temp
as $$
declare
  kind text := split_part(rtrim(tg_table_name, 's'), '_', 1);
  parent text := case when tg_table_name like '%items' then kind || '_id' else 'id' end;
  changed bigint[] := array[(to_jsonb(new) ->> parent)::bigint, (to_jsonb(old) ->> parent)::bigint];
  wrong record;
begin
  if kind = 'invoice' then
    select d.number, d.subtotal_cents, sums.total into wrong from invoices d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from invoice_items i where i.invoice_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  else
    select d.number, d.subtotal_cents, sums.total into wrong from quotes d,
      lateral (select coalesce(sum(i.total_cents), 0) as total from quote_items i where i.quote_id = d.id) sums
     where d.id = any (changed) and d.subtotal_cents <> sums.total;
  end if;
  if found then
    raise exception '% %: subtotal is %, its lines sum to %', kind, wrong.number, wrong.subtotal_cents, wrong.total
      using errcode = 'check_violation';
  end if;
  return null;
end
$$;
