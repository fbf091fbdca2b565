-- Search by any part of a text, served by indexes: trigrams, which know letters and digits only, and n-grams for texts
-- without three of them in a row.

create extension if not exists pg_trgm with schema extensions;

-- Every single character and every pair of characters of a text: the index terms for searches that trigrams cannot
-- serve, because the text has no three letters or digits in a row.
create function search_ngrams(p_text text) returns text[]
language sql immutable parallel safe set search_path = public, pg_temp
as $$
  select coalesce(array_agg(distinct substr(p_text, start, size)), '{}')
    from generate_series(1, length(p_text)) start, generate_series(1, 2) size where start + size - 1 <= length(p_text)
$$;

-- A LIKE pattern that matches any text containing `p_text` literally, in lower case.
create function like_pattern(p_text text) returns text
language sql immutable set search_path = public, pg_temp
as $$ select '%' || replace(replace(replace(lower(p_text), '\', '\\'), '%', '\%'), '_', '\_') || '%' $$;

-- The SQL condition that a row's search_text contains a parameter's text. A text without three letters or digits in a
-- row gets a second condition that the n-gram index can serve. `p_row` and `p_parameter` are SQL: an alias and `$1`.
create function search_condition(p_row text, p_parameter text, p_query text) returns text
language sql immutable set search_path = public, pg_temp
as $$
  select format('%1$s.search_text like like_pattern(%2$s)', p_row, p_parameter)
    || case when p_query !~ '[[:alnum:]]{3}'
         then format(' and search_ngrams(%1$s.search_text) @> search_ngrams(lower(%2$s))', p_row, p_parameter) else '' end
$$;
