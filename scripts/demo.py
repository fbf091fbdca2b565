"""`make demo`: a new customer's order on the local stack, from sign-up to a paid invoice.

Every call goes through the gateway to the Lambda handlers. Each step is checked; the first that fails ends the demo
with exit status 1. Writes `demo-output/`: both PDFs, the model's preview, the g-code and summary.json.
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

from devstack import ROOT, Stack, remove_old_runs
from devstack.stripe import pay
from scripts.sample_models import gallery_model

SETTINGS = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
}


class StepFailedError(Exception):
    """A step of the demo failed; the message says why."""


@dataclass
class Report:
    """Prints each step with its duration, and saves files to `output`."""

    output: Path
    times: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def step(self, step: str, line: str) -> None:
        now = time.monotonic()
        self.times[step] = round(now - self._began, 3)
        print(f"  {self.times[step]:7.2f} s  {line}", flush=True)
        self._began = time.monotonic()

    def save(self, name: str, contents: bytes) -> None:
        (self.output / name).write_bytes(contents)


def check(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailedError(what)


def error_text(response: httpx.Response) -> str:
    """The API's error as a sentence."""
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
    """The API, called as one customer."""

    url: str
    token: str = ""

    def call(self, method: str, path: str, *, expect: int = 200, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        response = httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=35, **options)
        check(response.status_code == expect, error_text(response))
        return response

    def data(self, method: str, path: str, **options: Any) -> Any:
        return self.call(method, path, **options).json()["data"]


def upload(shop: Shop, model: Path) -> dict[str, Any]:
    """Upload by signed URL and complete the upload; returns the API's answer: id, geometry, report."""
    wanted = {"files": [{"filename": model.name, "sizeBytes": model.stat().st_size}]}
    (target,) = shop.data("POST", "quick-order/uploads", json=wanted, expect=201)["files"]
    with model.open("rb") as file:
        headers = {"content-type": f"model/{model.suffix[1:].lower()}"}
        put = httpx.put(target["uploadUrl"], content=file, headers=headers, timeout=120)
    check(put.is_success, f"upload: {put.status_code} {put.text[:300]}")
    accepted: dict[str, Any] = shop.data("POST", f"quick-order/uploads/{target['id']}/complete")
    return accepted


def wait_for_slice(shop: Shop, file_id: int, seconds: float = 300) -> dict[str, Any]:
    """Poll the status until the slice has ended; returns it. Raises StepFailedError after `seconds`."""
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
    raise StepFailedError(f"the slice did not end within {seconds:g} s")


def pay_invoice(stack: Stack, invoice: dict[str, Any]) -> str:
    """Follow the pay link to Checkout and pay, with every webhook sent twice; returns Checkout's URL."""
    stack.stripe.control.set_delivery(copies=2)
    link = httpx.get(invoice["payUrl"], timeout=35)
    check(link.status_code == 303, f"the pay link answers {link.status_code}, not 303")
    checkout = link.headers["location"]
    page = httpx.get(checkout, timeout=10)
    check(page.status_code == 200, f"Checkout's page answers {page.status_code}")
    paid = pay(checkout)
    check(paid.status_code == 303, f"paying answers {paid.status_code}")
    stack.stripe.control.wait_until_delivered(30)
    return checkout


def deliveries(stack: Stack) -> list[int | None]:
    """The status of each answer to checkout.session.completed."""
    return [
        attempt.status
        for delivery in stack.stripe.control.deliveries()
        if delivery.event_type == "checkout.session.completed"
        for attempt in delivery.attempts
    ]


def sign_up(shop: Shop, report: Report) -> str:
    """Sign up a new customer and log in; returns the e-mail address."""
    email = f"ada-{uuid4().hex[:8]}@example.com"
    body = {"email": email, "password": uuid4().hex, "name": "Ada Customer"}
    signed_up = shop.data("POST", "auth/signup", json=body, expect=201)
    shop.token = signed_up["accessToken"]
    report.step("signUp", f"{email} signed up as client {signed_up['user']['clientId']}")
    return email


def slice_model(shop: Shop, model: Path, report: Report) -> dict[str, Any]:
    """Upload and slice; returns the completed status."""
    accepted = upload(shop, model)
    file_id, box = accepted["id"], accepted["geometry"]["box"]
    size = f"{box['x']:g} × {box['y']:g} × {box['z']:g} mm"
    report.step("upload", f"{model.name} uploaded ({model.stat().st_size / 1000:.0f} kB): {size}")
    if guess := accepted["report"]["estimate"]:
        grams, cents = guess["massMg"], guess["priceCents"]
        report.step(
            "estimate",
            f"estimated: {grams['low'] / 1000:.0f} to {grams['high'] / 1000:.0f} g, "
            f"{cents['low'] / 100:.2f} to {cents['high'] / 100:.2f} {guess['currency']}",
        )
    shop.data("POST", "quick-order/slice", json={"file": {"id": file_id, **SETTINGS}}, expect=202)
    status = wait_for_slice(shop, file_id)
    check(status["status"] == "completed", f"the slice failed: {status['metadata'].get('error')}")
    result = status["result"]
    grams, slicer = result["massMg"] / 1000, f"{result['slicer']} {result['slicerVersion']}"
    report.step("slice", f"sliced by {slicer}: {grams:g} g, {result['timeSec']} s of printing")
    return status


def save_preview(shop: Shop, status: dict[str, Any], report: Report) -> None:
    """Wait until the worker has drawn the model's preview, and save it."""
    path = f"quick-order/files/{status['id']}"
    deadline = time.monotonic() + 60
    while not status["previewUrl"]:
        check(time.monotonic() < deadline, "the preview was not drawn within 60 s")
        time.sleep(0.25)
        status = shop.data("GET", path)
    png = shop.call("GET", f"{path}/preview.png", follow_redirects=True).content
    check(png.startswith(b"\x89PNG"), "the preview is not a PNG")
    report.save("preview.png", png)
    report.step(
        "preview", f"preview drawn: {status['topology']['triangles']} triangles, {len(png) / 1000:.0f} kB"
    )


def order(shop: Shop, status: dict[str, Any], report: Report) -> dict[str, Any]:
    """Price and check out; returns the invoice."""
    wanted = {
        "items": [{"fileId": status["id"], "settingsHash": status["settingsHash"], "quantity": 1}],
        "shipping": {"state": "NSW", "postcode": "2000"},
    }
    price = shop.data("POST", "quick-order/price", json=wanted)
    report.step("price", f"priced: {price['totalCents'] / 100:.2f} {price['currency']} with shipping and GST")
    body, key = {**wanted, "expectedTotalCents": price["totalCents"]}, {"Idempotency-Key": str(uuid4())}
    invoice: dict[str, Any] = shop.data("POST", "quick-order/checkout", json=body, headers=key, expect=201)
    check(invoice["totalCents"] == price["totalCents"], "the invoice's total is not the price")
    report.step("checkout", f"ordered: invoice {invoice['number']} over {invoice['totalCents'] / 100:.2f}")
    return invoice


def save_pdf(shop: Shop, invoice: dict[str, Any], when: str, report: Report) -> None:
    """Save the invoice's PDF in its present state; `when` is "before" or "after" payment."""
    contents = shop.call("GET", f"invoices/{invoice['id']}/pdf").content
    check(contents.startswith(b"%PDF-"), "the file is not a PDF")
    report.save(f"invoice-{invoice['number']}-{when}.pdf", contents)
    what = "with a pay link" if when == "before" else "stamped paid"
    report.step(f"pdf{when.capitalize()}", f"PDF {what}: {len(contents) // 1024} KiB")


def pay_and_check(stack: Stack, shop: Shop, invoice: dict[str, Any], report: Report) -> dict[str, Any]:
    """Pay, and check that the payment is recorded once; returns its part of the summary."""
    checkout_url = pay_invoice(stack, invoice)
    answers = deliveries(stack)
    check(len(answers) == 2 and set(answers) == {200}, f"the two deliveries were answered {answers}")
    report.step("pay", "paid at Checkout; the signed webhook came twice, both answered 200")
    paid = shop.data("GET", f"invoices/{invoice['id']}")
    check(paid["status"] == "PAID" and paid["balanceCents"] == 0, f"the invoice is {paid['status']}")
    check(len(paid["payments"]) == 1, f"{len(paid['payments'])} payments were recorded")
    check(paid["job"] is not None and paid["job"]["status"] == "QUEUED", "no job was queued")
    report.step("paid", f"invoice PAID once, balance 0, job {paid['job']['id']} queued")
    return {
        "checkoutUrl": checkout_url,
        "webhookAnswers": answers,
        "payments": paid["payments"],
        "jobId": paid["job"]["id"],
    }


def run(stack: Stack, model: Path, report: Report) -> dict[str, Any]:
    """All steps of the demo; returns its summary."""
    shop = Shop(stack.api_url)
    email = sign_up(shop, report)
    status = slice_model(shop, model, report)
    save_preview(shop, status, report)
    invoice = order(shop, status, report)
    save_pdf(shop, invoice, "before", report)
    payment = pay_and_check(stack, shop, invoice, report)
    save_pdf(shop, invoice, "after", report)
    packed = shop.call("GET", f"tmp-files/{status['outputId']}", follow_redirects=True).content
    gcode = gzip.decompress(packed)
    report.save(f"{model.stem}.gcode", gcode)
    report.step("gcode", f"g-code: {len(gcode) / 1e6:.1f} MB")
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


def find_model(given: Path | None) -> Path:
    """The model to order. Raises StepFailedError that says what to do if it cannot be used."""
    model = (given or gallery_model("bunny.stl")).resolve()
    if not model.is_file():
        what = "is a folder" if model.is_dir() else "is not there"
        raise StepFailedError(f"{model} {what}; name a model: make demo MODEL=path.stl")
    if model.suffix.lower() not in {".stl", ".3mf"}:
        raise StepFailedError(f"{model.name} is no .stl or .3mf; export the model as one.")
    if model.stat().st_size == 0:
        raise StepFailedError(f"{model.name} is empty; export the model again.")
    return model


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument(
        "--model", type=Path, help="an STL or 3MF; default: the bunny of PrusaSlicer's gallery"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="where the documents go")
    parser.add_argument("--built", action="store_true", help="run .aws-sam/build and the layers alone")
    arguments = parser.parse_args()
    output: Path = arguments.output
    remove_old_runs()
    # Renamed at the end: the documents of an earlier demo stay until these are complete.
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".demo-", dir=output.parent))
    unfinished.chmod(0o755)
    stack = Stack(built=arguments.built)
    try:
        model = find_model(arguments.model)
        print(f"From {model} to a paid invoice:", flush=True)
        report = Report(unfinished)
        with stack:
            report.step(
                "start", f"PostgreSQL, Supabase, SQS, Stripe and the gateway are up at {stack.api_url}"
            )
            summary = run(stack, model, report)
        document = json.dumps({**summary, "seconds": report.times}, indent=2)
        (unfinished / "summary.json").write_text(document + "\n")
        shutil.rmtree(output, ignore_errors=True)
        unfinished.rename(output)
    except (StepFailedError, httpx.HTTPError) as error:
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
    print(
        f"Every step succeeded, in {sum(report.times.values()):.1f} s. Documents, g-code and summary: {where}/"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
