"""The processes of PostgreSQL and Supabase: killed, restarted, under load, and after their parent."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from devstack.database import Postgres
from devstack.processes import wait_for
from devstack.supabase import Supabase
from devstack.testing.supabase import target_of
from devstack.tests.supabase.conftest import COUNT, count

ROOT = Path(__file__).parents[3]


def test_a_killed_database_is_answered_503_and_comes_back(
    tmp_path: Path, project: Path, http: httpx.Client
) -> None:
    database = Postgres(tmp_path / "run" / "postgres")
    database.start()
    supabase = Supabase(tmp_path / "run", database.url, project_dir=project, legacy_privileges=True)
    supabase.start()
    database.kill()
    assert count(supabase, http).status_code == 503
    database.start()
    wait_for(lambda: count(supabase, http).status_code == 200, 10, "the API after the database")
    with psycopg.connect(supabase.database_url) as connection:
        connection.execute("drop function public.contract_count()")
        connection.execute(COUNT.replace("count(*)", "count(*) + 1"))
    wait_for(lambda: count(supabase, http).json() == 3, 10, "the changed function")
    supabase.kill()
    supabase.start()
    assert count(supabase, http).json() == 3
    supabase.stop()
    database.stop()


def test_many_calls_at_once_are_all_answered(start_supabase: Callable[..., Supabase], project: Path) -> None:
    target = target_of(start_supabase(project_dir=project, legacy_privileges=True))
    failures: list[int] = []

    def call() -> None:
        with httpx.Client(timeout=30) as client:
            for _ in range(20):
                url = f"{target.url}/rest/v1/rpc/contract_count"
                answer = client.post(url, headers=target.headers(), json={})
                if answer.status_code != 200 or answer.json() != 2:
                    failures.append(answer.status_code)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from devstack.database import Postgres
        from devstack.supabase import Supabase
        run = Path({str(tmp_path)!r})
        database = Postgres(run / "postgres")
        database.start()
        supabase = Supabase(run, database.url, project_dir=run, progress=lambda line: None)
        supabase.start()
        postmaster = (run / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        print(supabase.pid, postmaster, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
    assert [alive(pid) for pid in pids] == [True, True]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids), 5, "the end of the children")


def test_data_of_a_removed_run_folder_is_removed_and_other_data_stays(tmp_path: Path) -> None:
    gone, kept = Postgres(tmp_path / "gone" / "postgres"), Postgres(tmp_path / "kept" / "postgres")
    for database in (gone, kept):
        database.start()
        database.stop()
    places = [database.data_dir.resolve() for database in (gone, kept)]
    shutil.rmtree(tmp_path / "gone")
    third = Postgres(tmp_path / "third" / "postgres")
    third.start()
    third.stop()
    assert [place.exists() for place in places] == [False, True]
    kept.start()
    kept.stop()


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
