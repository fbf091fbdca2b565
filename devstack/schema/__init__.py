"""The schema: declared in `supabase/schemas/`, brought to a shop's database by `supabase/migrations/`.

generate(project, "add_due_reminders")     # the migration from what was edited, or None
mark_released(project)                     # from now on it is never edited
read_catalogue(one_url) == read_catalogue(other_url)
"""

from devstack.schema.catalogue import GRANTS, Entry, read_catalogue
from devstack.schema.history import changed_since_release, mark_released, migrations, released, unreleased
from devstack.schema.migration import MigrationError, generate
from devstack.supabase.project import apply_schemas, schema_files

__all__ = [
    "GRANTS",
    "Entry",
    "MigrationError",
    "apply_schemas",
    "changed_since_release",
    "generate",
    "mark_released",
    "migrations",
    "read_catalogue",
    "released",
    "schema_files",
    "unreleased",
]
