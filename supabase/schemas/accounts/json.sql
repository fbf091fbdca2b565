-- Users in JSON.

-- The signed-in user, as every request carries them.
create function user_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'authUserId', u.auth_user_id, 'email', u.email, 'name', u.name,
                            'role', u.role, 'clientId', u.client_id, 'mustChangePassword', u.must_change_password)
$$;

-- A user as the shop's list of logins shows them.
create function user_account_json(u users) returns jsonb
language sql stable set search_path = public, pg_temp
as $$
  select jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name, 'role', u.role, 'clientId', u.client_id,
    'clientName', (select c.name from clients c where c.id = u.client_id),
    'mustChangePassword', u.must_change_password, 'createdAt', u.created_at)
$$;
