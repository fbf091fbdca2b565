-- The outbox of e-mails.

create type mail_kind as enum ('QUOTE', 'INVOICE');
create type mail_status as enum ('QUEUED', 'SENDING', 'SENT', 'FAILED');

create table mails (
  id bigint generated always as identity primary key,
  kind mail_kind not null,
  quote_id bigint references quotes (id) on delete cascade,
  invoice_id bigint references invoices (id) on delete cascade,
  to_address text check (length(to_address) between 3 and 254),
  message text not null default '' check (length(message) <= 5000),
  status mail_status not null default 'QUEUED',
  attempts integer not null default 0,
  queued_at timestamptz not null default now(),
  claim_token uuid,
  lease_until timestamptz,
  sent_at timestamptz,
  provider_id text,
  pdf_key text,
  error text,
  created_by bigint references users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint mails_has_document_of_kind check ((kind = 'QUOTE') = (quote_id is not null) and (kind = 'INVOICE') = (invoice_id is not null))
);
comment on table mails is 'The outbox: a row is committed with the change that it is about, and sent by the mailer.';
comment on column mails.to_address is 'Null when the shop sends no e-mail: then only the PDF is stored as it was sent.';
comment on column mails.queued_at is 'When its queue message was last sent.';
comment on column mails.pdf_key is 'The attached PDF in the pdfs bucket; recorded before the mail is sent.';
create index mails_by_quote on mails (quote_id, id desc);
create index mails_by_invoice on mails (invoice_id, id desc);
create index mails_by_creator on mails (created_by);
create index mails_by_pdf on mails (pdf_key) where pdf_key is not null;
create index mails_to_send on mails (queued_at) where status in ('QUEUED', 'SENDING');
create trigger set_updated_at before update on mails for each row execute function set_updated_at();
