"""`make demo`: a stranger's model, from sign-up to a paid invoice, in the deployed shape.

Every call goes through the gateway into the Lambda handlers; each step is checked, and the first that does not
hold ends the demo with exit 1. Leaves `demo-output/`: both PDFs, the model's picture, the g-code and summary.json.
"""

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from devstack import ROOT, Stack, sweep_runs
from devstack.stripe import pay
from scripts.sample_models import gallery_model

SETTINGS = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
}


class StepFailed(Exception):
    """A step of the story did not hold."""


@dataclass
class Story:
    """Prints a line a step with its time, and keeps the times."""

    output: Path
    times: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def tell(self, step: str, line: str) -> None:
        now = time.monotonic()
        self.times[step] = round(now - self._began, 3)
        print(f"  {self.times[step]:7.2f} s  {line}", flush=True)
        self._began = time.monotonic()

    def keep(self, name: str, contents: bytes) -> None:
        (self.output / name).write_bytes(contents)


def must(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailed(what)


def said(response: httpx.Response) -> str:
    """What the API says is wrong, as a sentence."""
    where = f"{response.request.method} {response.request.url.path} answered {response.status_code}"
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return f"{where}: {response.text[:300]}"
    faults = error["details"] if isinstance(error["details"], list) else []
    problems = [f" {fault['field']}: {fault['problem']}" for fault in faults if "problem" in fault]
    return f"{error['message']}{';'.join(problems)} ({where}, {error['code']})"


@dataclass
class Shop:
    """The API, as one customer calls it."""

    url: str
    token: str = ""

    def call(self, method: str, path: str, *, expect: int = 200, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        response = httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=35, **options)
        must(response.status_code == expect, said(response))
        return response

    def data(self, method: str, path: str, **options: Any) -> Any:
        return self.call(method, path, **options).json()["data"]


def upload(shop: Shop, model: Path) -> dict[str, Any]:
    """Upload by signed URL and have the file checked and measured; what is said of it."""
    wanted = {"files": [{"filename": model.name, "sizeBytes": model.stat().st_size}]}
    (target,) = shop.data("POST", "quick-order/uploads", json=wanted, expect=201)["files"]
    with model.open("rb") as file:
        headers = {"content-type": f"model/{model.suffix[1:].lower()}"}
        put = httpx.put(target["uploadUrl"], content=file, headers=headers, timeout=120)
    must(put.is_success, f"upload: {put.status_code} {put.text[:300]}")
    accepted: dict[str, Any] = shop.data("POST", f"quick-order/uploads/{target['id']}/complete")
    return accepted


def wait_for_slice(shop: Shop, file_id: int, seconds: float = 300) -> dict[str, Any]:
    """Poll the status, as a page would, until the slice has ended."""
    deadline = time.monotonic() + seconds
    shown = ""
    while time.monotonic() < deadline:
        status: dict[str, Any] = shop.data("GET", f"quick-order/files/{file_id}")
        if status["status"] in {"completed", "failed"}:
            if shown and sys.stdout.isatty():
                print("\r" + " " * 60 + "\r", end="", flush=True)
            return status
        shown = f"{status['progressPercent']} % {status['progressStage']}"
        if sys.stdout.isatty():
            print(f"\r    slicing … {shown:<40}", end="", flush=True)
        time.sleep(0.25)
    raise StepFailed(f"the slice did not end within {seconds:g} s")


def pay_invoice(stack: Stack, invoice: dict[str, Any]) -> str:
    """Follow the pay link to Checkout and pay there; Stripe tells of it twice. The pay link's target."""
    stack.stripe.control.set_mail(copies=2)
    link = httpx.get(invoice["payUrl"], timeout=35)
    must(link.status_code == 303, f"the pay link answers {link.status_code}, not 303")
    checkout = link.headers["location"]
    page = httpx.get(checkout, timeout=10)
    must(page.status_code == 200, f"Checkout's page answers {page.status_code}")
    paid = pay(checkout)
    must(paid.status_code == 303, f"paying answers {paid.status_code}")
    stack.stripe.control.wait_until_delivered(30)
    return checkout


def deliveries(stack: Stack) -> list[int | None]:
    """The answers to every delivery of checkout.session.completed."""
    return [
        attempt.status
        for delivery in stack.stripe.control.deliveries()
        if delivery.event_type == "checkout.session.completed"
        for attempt in delivery.attempts
    ]


def sign_up(shop: Shop, story: Story) -> str:
    """A new customer, logged in; his address."""
    email = f"ada-{uuid4().hex[:8]}@example.com"
    body = {"email": email, "password": uuid4().hex, "name": "Ada Customer"}
    signed_up = shop.data("POST", "auth/signup", json=body, expect=201)
    shop.token = signed_up["accessToken"]
    story.tell("signUp", f"{email} signed up as client {signed_up['user']['clientId']}")
    return email


def slice_model(shop: Shop, model: Path, story: Story) -> dict[str, Any]:
    """Upload and slice; the finished status."""
    accepted = upload(shop, model)
    file_id, box = accepted["id"], accepted["geometry"]["box"]
    size = f"{box['x']:g} × {box['y']:g} × {box['z']:g} mm"
    story.tell("upload", f"{model.name} uploaded ({model.stat().st_size / 1000:.0f} kB): {size}")
    if guess := accepted["report"]["estimate"]:
        grams, cents = guess["massMg"], guess["priceCents"]
        story.tell(
            "estimate",
            f"estimated: {grams['low'] / 1000:.0f} to {grams['high'] / 1000:.0f} g, "
            f"{cents['low'] / 100:.2f} to {cents['high'] / 100:.2f} {guess['currency']}",
        )
    shop.data("POST", "quick-order/slice", json={"file": {"id": file_id, **SETTINGS}}, expect=202)
    status = wait_for_slice(shop, file_id)
    must(status["status"] == "completed", f"the slice failed: {status['metadata'].get('error')}")
    result = status["result"]
    grams, slicer = result["massMg"] / 1000, f"{result['slicer']} {result['slicerVersion']}"
    story.tell("slice", f"sliced by {slicer}: {grams:g} g, {result['timeSec']} s of printing")
    return status


def picture(shop: Shop, status: dict[str, Any], story: Story) -> None:
    """Keep the model's picture, as soon as the worker has drawn it."""
    path = f"quick-order/files/{status['id']}"
    deadline = time.monotonic() + 60
    while not status["previewUrl"]:
        must(time.monotonic() < deadline, "the model was not drawn within 60 s")
        time.sleep(0.25)
        status = shop.data("GET", path)
    png = shop.call("GET", f"{path}/preview.png", follow_redirects=True).content
    must(png.startswith(b"\x89PNG"), "the picture is no PNG")
    story.keep("preview.png", png)
    story.tell("picture", f"drawn: {status['topology']['triangles']} triangles, {len(png) / 1000:.0f} kB")


def order(shop: Shop, status: dict[str, Any], story: Story) -> dict[str, Any]:
    """Price and check out; the invoice."""
    wanted = {
        "items": [{"fileId": status["id"], "settingsHash": status["settingsHash"], "quantity": 1}],
        "shipping": {"state": "NSW", "postcode": "2000"},
    }
    price = shop.data("POST", "quick-order/price", json=wanted)
    story.tell("price", f"priced: {price['totalCents'] / 100:.2f} {price['currency']} with shipping and GST")
    body, key = {**wanted, "expectedTotalCents": price["totalCents"]}, {"Idempotency-Key": str(uuid4())}
    invoice: dict[str, Any] = shop.data("POST", "quick-order/checkout", json=body, headers=key, expect=201)
    must(invoice["totalCents"] == price["totalCents"], "the invoice's total is not the price")
    story.tell("checkout", f"ordered: invoice {invoice['number']} over {invoice['totalCents'] / 100:.2f}")
    return invoice


def paper(shop: Shop, invoice: dict[str, Any], when: str, story: Story) -> None:
    """The invoice's PDF as it is now, kept."""
    contents = shop.call("GET", f"invoices/{invoice['id']}/pdf").content
    must(contents.startswith(b"%PDF-"), "the PDF is none")
    story.keep(f"invoice-{invoice['number']}-{when}.pdf", contents)
    what = "with a pay link" if when == "before" else "stamped paid"
    story.tell(f"pdf{when.capitalize()}", f"PDF {what}: {len(contents) // 1024} KiB")


def settle(stack: Stack, shop: Shop, invoice: dict[str, Any], story: Story) -> dict[str, Any]:
    """Pay, and see it booked once; what the summary says of it."""
    checkout_url = pay_invoice(stack, invoice)
    answers = deliveries(stack)
    must(len(answers) == 2 and set(answers) == {200}, f"the two deliveries were answered {answers}")
    story.tell("pay", "paid at Checkout; the signed webhook came twice, both answered 200")
    paid = shop.data("GET", f"invoices/{invoice['id']}")
    must(paid["status"] == "PAID" and paid["balanceCents"] == 0, f"the invoice is {paid['status']}")
    must(len(paid["payments"]) == 1, f"{len(paid['payments'])} payments were recorded")
    must(paid["job"] is not None and paid["job"]["status"] == "QUEUED", "no job was queued")
    story.tell("paid", f"invoice PAID once, balance 0, job {paid['job']['id']} queued")
    return {
        "checkoutUrl": checkout_url,
        "webhookAnswers": answers,
        "payments": paid["payments"],
        "jobId": paid["job"]["id"],
    }


def run(stack: Stack, model: Path, story: Story) -> dict[str, Any]:
    """The story; its summary."""
    shop = Shop(stack.api_url)
    email = sign_up(shop, story)
    status = slice_model(shop, model, story)
    picture(shop, status, story)
    invoice = order(shop, status, story)
    paper(shop, invoice, "before", story)
    payment = settle(stack, shop, invoice, story)
    paper(shop, invoice, "after", story)
    packed = shop.call("GET", f"tmp-files/{status['outputId']}", follow_redirects=True).content
    gcode = gzip.decompress(packed)
    story.keep(f"{model.stem}.gcode", gcode)
    story.tell("gcode", f"g-code: {len(gcode) / 1e6:.1f} MB")
    result = status["result"]
    amounts = ("subtotalCents", "shippingCents", "taxCents", "totalCents", "currency", "payUrl")
    return {
        "model": model.name,
        "email": email,
        "fileId": status["id"],
        "invoiceId": invoice["id"],
        "invoiceNumber": invoice["number"],
        "slicer": f"{result['slicer']} {result['slicerVersion']}",
        "settings": SETTINGS,
        "grams": result["massMg"] / 1000,
        "printSeconds": result["timeSec"],
        "lines": [
            {"description": item["description"], "totalCents": item["totalCents"]}
            for item in invoice["items"]
        ],
        **{name: invoice[name] for name in amounts},
        **payment,
    }


def model_of(given: Path | None) -> Path:
    """The model to show. Raises StepFailed with the fix when it cannot be one."""
    model = (given or gallery_model("bunny.stl")).resolve()
    if not model.is_file():
        what = "is a folder" if model.is_dir() else "is not there"
        raise StepFailed(f"{model} {what}; name a model: make demo MODEL=path.stl")
    if model.suffix.lower() not in {".stl", ".3mf"}:
        raise StepFailed(f"{model.name} is no .stl or .3mf; export the model as one.")
    if model.stat().st_size == 0:
        raise StepFailed(f"{model.name} is empty; export the model again.")
    return model


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument(
        "--model", type=Path, help="an STL or 3MF; default: the bunny of PrusaSlicer's gallery"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="where the papers go")
    parser.add_argument("--built", action="store_true", help="run .aws-sam/build and the layers alone")
    arguments = parser.parse_args()
    output: Path = arguments.output
    sweep_runs()
    # Whole or not at all: the papers of an earlier demo stay until these are complete.
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".demo-", dir=output.parent))
    unfinished.chmod(0o755)
    stack = Stack(built=arguments.built)
    try:
        model = model_of(arguments.model)
        print(f"From {model} to a paid invoice:", flush=True)
        story = Story(unfinished)
        with stack:
            story.tell(
                "start", f"PostgreSQL, Supabase, SQS, Stripe and the gateway are up at {stack.api_url}"
            )
            summary = run(stack, model, story)
        document = json.dumps({**summary, "seconds": story.times}, indent=2)
        (unfinished / "summary.json").write_text(document + "\n")
        shutil.rmtree(output, ignore_errors=True)
        unfinished.rename(output)
    except (StepFailed, httpx.HTTPError) as error:
        logs = f"\nLogs: {os.path.relpath(stack.run_dir)}" if stack.run_dir.exists() else ""
        print(f"\nThe demo stopped. {error}{logs}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    where = os.path.relpath(output)
    print(f"Every step held, in {sum(story.times.values()):.1f} s. Papers, g-code and summary: {where}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
