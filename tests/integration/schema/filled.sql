-- A shop in which every column of every table has a value somewhere: what an upgrade must not lose. It is written for
-- the schema of the released migrations and follows them when they are released.
insert into auth.users (id, email) values
  ('00000000-0000-0000-0000-000000000001', 'shop@example.com'),
  ('00000000-0000-0000-0000-000000000002', 'ada@example.com'),
  ('00000000-0000-0000-0000-000000000003', 'gone@example.com');
update settings set abn = '51824753556', logo_data_url = 'data:image/png;base64,AA==', currency = 'AUD', bank_details = 'BSB 000-000';
insert into clients (name, company, email, phone, abn, address_line1, address_line2, suburb, state, postcode, payment_term, preferences)
values ('Ada Byron', 'Engines', 'ada@example.com', '02 1234', '51824753556', '1 Mill Rd', 'Unit 2', 'Sydney', 'NSW', '2000', 'NET7', '{"materialId": 1}'),
       ('Charles', '', '', '', null, '', '', '', '', '', null, '{}');
insert into users (auth_user_id, email, name, role, client_id, sessions_valid_from, must_change_password) values
  ('00000000-0000-0000-0000-000000000001', 'shop@example.com', 'The shop', 'ADMIN', null, '-infinity', false),
  ('00000000-0000-0000-0000-000000000002', 'ada@example.com', 'Ada', 'CLIENT', 1, '2026-01-01', true);
insert into closed_logins (user_id, auth_user_id) values (77, '00000000-0000-0000-0000-000000000003');
insert into client_notes (client_id, author_id, author, body) values (1, 1, 'The shop', 'Pays on time');
insert into revoked_sessions (session_id, user_id) values ('00000000-0000-0000-0000-0000000000aa', 2);
insert into login_attempts (subject, level_milli, counted_at) values (repeat('a', 64), 1000, now());
update number_sequences set last_number = 2;

insert into quotes (number, client_id, status, issue_date, valid_until, currency, discount_type, discount_bps, discount_fixed_cents,
                    subtotal_cents, discount_cents, shipping_cents, shipping_label, tax_rate_bps, tax_cents, total_cents, notes, terms,
                    needs_review, snapshot, decision_note, sent_at, decided_at, created_by)
values ('QT-0001', 1, 'CONVERTED', '2026-01-01', '2026-02-01', 'AUD', 'PERCENT', 1000, 0, 10000, 1000, 500, 'Metro', 1000, 950, 10450,
        'Notes', 'Terms', true, '{"rates": {}}', 'Yes please', now(), now(), 1);
insert into quote_items (quote_id, position, product_template_id, description, quantity_milli, unit_price_cents, total_cents, details)
values (1, 1, 1, 'A design hour', 1000, 10000, 10000, '{"timeSec": 3600}');
insert into invoices (number, client_id, quote_id, status, issue_date, due_date, currency, discount_type, discount_bps, subtotal_cents,
                      discount_cents, shipping_cents, shipping_label, tax_rate_bps, tax_cents, total_cents, notes, terms,
                      stripe_session_id, stripe_checkout_url, stripe_session_cents, stripe_session_expires_at, stripe_attempt, sent_at,
                      paid_at, created_by)
values ('INV-0001', 1, 1, 'PAID', '2026-01-02', '2026-01-09', 'AUD', 'PERCENT', 1000, 10000, 1000, 500, 'Metro', 1000, 950, 10450, 'Notes',
        'Terms', 'cs_1', 'https://checkout.example/1', 10450, now(), 1, now(), now(), 1);
insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents, tax_rate_bps, tax_cents, total_cents,
                      written_off_cents, written_off_at)
values ('INV-0002', 2, 'WRITTEN_OFF', '2026-01-02', '2026-01-02', 'AUD', 2000, 1000, 200, 2200, 2200, now());
insert into invoice_items (invoice_id, position, product_template_id, description, quantity_milli, unit_price_cents, total_cents, details)
values (1, 1, 1, 'A design hour', 1000, 10000, 10000, '{"timeSec": 3600}'), (2, 1, null, 'A vase', 2000, 1000, 2000, '{}');
update quotes set converted_invoice_id = 1;

insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, note, is_flagged, created_by)
values (1, 'PAYMENT', 'STRIPE', 10450, 'pi_1', 'cs_1', 'A note', true, 1);
insert into payments (invoice_id, kind, method, amount_cents, processor_id, reference, parent_payment_id)
values (1, 'REFUND', 'STRIPE', -450, 're_1', 'Refunded', 1);
insert into checkout_sessions (session_id, invoice_id, state, amount_cents, expires_at) values ('cs_1', 1, 'PAID', 10450, now());
insert into reversals (processor_id, kind, payment_intent, amount_cents, currency, stage, happened_at, dispute_outcome)
values ('re_1', 'REFUND', 'pi_1', 450, 'AUD', 2, now(), null), ('dp_1', 'DISPUTE', 'pi_1', 10450, 'AUD', 3, now(), 'WON');
insert into refund_requests (invoice_id, payment_id, amount_cents, reason, note, state, attempt, refund_id, refusal, created_by)
values (1, 1, 450, 'duplicate', 'Twice', 'SETTLED', 1, 're_1', null, 1), (1, 1, 100, null, '', 'REFUSED', 0, null, 'No funds', 1);
insert into webhook_events (stripe_event_id, event_type, outcome, invoice_id, metadata)
values ('evt_1', 'checkout.session.completed', 'APPLIED', 1, '{"amount": 10450}');

insert into jobs (invoice_id, client_id, printer_id, title, status, priority, queue_position, held_reason, payment_hold,
                  estimated_seconds, estimated_mass_mg, printed_seconds, printed_mass_mg, printing_since, printed_on, notes, completed_at)
values (1, 1, 1, 'Invoice INV-0001', 'COMPLETED', 'URGENT', 1, 'held', 'money was refunded', 3600, 20000, 3500, 21000, now(), '{1}', 'Notes', now());
insert into jobs (invoice_id, client_id, title, status, cancelled_at, archived_at)
values (2, 2, 'Invoice INV-0002', 'CANCELLED', now(), now());
insert into print_records (job_id, printer_id, material_id, printers, materials, is_sliced, sliced_seconds, sliced_mass_mg, printed_seconds,
                           printed_mass_mg, completed_at)
values (1, 1, 1, 1, 1, true, 3600, 20000, 3500, 21000, now()), (2, null, null, 0, 0, false, 0, 0, 0, null, now());

insert into slice_results (content_hash, settings_hash, settings, material_id, printer_id, slicer, slicer_version, profile, nozzle_um,
                           mass_mg, volume_mm3, filament_mm, time_sec, gcode_key, gcode_bytes)
values (repeat('a', 64), repeat('b', 64), '{"infill": 20}', 1, 1, 'PrusaSlicer', '2.9.2', 'generic/pla', 400, 20000, 16000, 6700, 3600,
        'cache/1.gcode.gz', 1000);
insert into tmp_files (user_id, storage_key, filename, size_bytes, status, metadata, uploaded_at, content_hash, geometry, inspection,
                       inspection_sent_at, inspection_sends, preview_key, material_id, printer_id, profile, settings_hash, slice_result_id,
                       queue, request_id, queued_at, sent_at, sends, claim_token, lease_until, attempts, progress_percent, progress_stage,
                       reserved_until)
values (2, '2/a/part.stl', 'part.stl', 1234, 'completed', '{"attempts": 1}', now(), repeat('a', 64), '{"triangles": 12}', '{"shells": 1}', now(), 1,
        '2/a/preview.png', 1, 1, '{"nozzleUm": 400}', repeat('b', 64), 1, 'LARGE', gen_random_uuid(), now(), now(), 1, gen_random_uuid(), now(),
        1, 100, 'Making infill', now());
insert into tmp_files (user_id, storage_key, object_key, filename, size_bytes, parent_id)
values (2, '2/b/model.gcode.gz', 'cache/1.gcode.gz', 'part.gcode.gz', 1000, 1);
insert into order_files (invoice_id, quote_id, client_id, filename, storage_key, file_type, mime_type, size_bytes, metadata, uploaded_by)
values (1, 1, 1, 'part.stl', 'orders/1/part.stl', 'model', 'model/stl', 1234, '{"fileId": "1"}', 2);
insert into attachments (invoice_id, filename, storage_key, mime_type, size_bytes, replaces, uploaded_by)
values (1, 'drawing.pdf', 'invoices/1/drawing.pdf', 'application/pdf', 99, false, 1);

insert into activity_logs (client_id, quote_id, invoice_id, job_id, printer_id, action, message, metadata)
values (1, 1, 1, 1, 1, 'JOB_MOVED', 'Job Invoice INV-0001 went from PACKAGING to COMPLETED', '{"userId": 1}');
insert into user_messages (user_id, sender_id, invoice_id, body, read_at) values (2, 1, 1, 'It is ready', now()), (2, null, null, 'A notice', null);
insert into mails (kind, quote_id, to_address, message, status, attempts, claim_token, lease_until, sent_at, provider_id, pdf_key, error, created_by)
values ('QUOTE', 1, 'ada@example.com', 'Here it is', 'SENT', 2, gen_random_uuid(), now(), now(), 'ses-1', 'sent/1.pdf', 'A first failure', 1);
insert into mails (kind, invoice_id, status) values ('INVOICE', 1, 'QUEUED');
insert into idempotency_keys (user_id, route, key, body_hash, response) values (2, 'quick-order/checkout', 'key-1', 'hash', '{"id": 1}');
insert into component_health (component, detail) values ('slicer', '{"product": "PrusaSlicer", "version": "2.9.2"}');
insert into stray_objects (bucket, key) values ('tmp', '2/lost.stl');
