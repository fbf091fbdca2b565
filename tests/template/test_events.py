"""The sample events are what AWS would send to this bundle."""

import base64
import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import APIGatewayProxyEventV2Model, SqsModel

from printshop.files.slices import SliceRequest
from tests.template.bundle import ROOT, Bundle

EVENTS = ROOT / "events"
HTTP = ["http-get.json", "http-post.json", "stripe-webhook.json"]


def event(name: str) -> dict[str, Any]:
    return dict(json.loads((EVENTS / name).read_text()))


def listed(bundle: Bundle) -> set[str]:
    (api,) = bundle.of_type("AWS::ApiGatewayV2::Api").values()
    return {
        f"{method.upper()} {path}" for path, methods in api["Body"]["paths"].items() for method in methods
    }


@pytest.mark.parametrize("name", HTTP)
def test_an_http_event_has_the_gateways_shape_and_a_route_of_the_template(name: str, bundle: Bundle) -> None:
    parsed = APIGatewayProxyEventV2Model.model_validate(event(name))
    assert parsed.version == "2.0"
    assert parsed.routeKey in listed(bundle)
    method, path = parsed.routeKey.split()
    http = parsed.requestContext.http
    assert (http.method, http.path) == (method, parsed.rawPath)
    assert path.format(**(parsed.pathParameters or {})) == parsed.rawPath
    assert parsed.requestContext.stage == "$default"


def test_the_post_carries_cookies_their_origin_and_a_body_that_fits_its_length() -> None:
    post = event("http-post.json")
    assert [cookie.split("=")[0] for cookie in post["cookies"]] == ["sb:token", "sb:refresh-token"]
    assert "cookie" not in post["headers"]  # format 2.0 takes cookies out of the headers
    assert post["headers"]["origin"] == "http://localhost:3000"
    assert int(post["headers"]["content-length"]) == len(post["body"].encode())
    assert SliceRequest.model_validate_json(post["body"]).file.supports.angle == 45


def test_the_webhook_carries_stripes_event_as_raw_base64_with_a_signature() -> None:
    webhook = event("stripe-webhook.json")
    assert webhook["isBase64Encoded"] is True
    raw = base64.b64decode(webhook["body"], validate=True)
    assert int(webhook["headers"]["content-length"]) == len(raw)
    stripe_event = json.loads(raw)
    assert (stripe_event["object"], stripe_event["type"]) == ("event", "checkout.session.completed")
    assert stripe_event["data"]["object"]["metadata"] == {"invoiceId": "7", "invoiceNumber": "INV-0007"}
    assert webhook["headers"]["stripe-signature"].startswith("t=")
    assert ",v1=" in webhook["headers"]["stripe-signature"]


def test_the_janitors_event_is_the_schedulers() -> None:
    tick = event("janitor-schedule.json")
    assert (tick["source"], tick["detail-type"]) == ("aws.scheduler", "Scheduled Event")
    assert tick["resources"][0].startswith("arn:aws:scheduler:ap-southeast-2:")


def test_the_slicers_event_is_one_record_of_the_slice_queue() -> None:
    (record,) = SqsModel.model_validate(event("slicer-sqs.json")).Records
    assert json.loads(str(record.body)).keys() == {"fileId", "requestId"}


def test_the_mailers_event_is_one_record_of_the_mail_queue() -> None:
    (record,) = SqsModel.model_validate(event("mailer-sqs.json")).Records
    assert json.loads(str(record.body)).keys() == {"mailId"}
    assert record.eventSourceARN.endswith(":mail-queue")
