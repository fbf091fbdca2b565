"""Supabase Storage: the four private buckets (`objects`) and the keys of what is in them (`keys`)."""
