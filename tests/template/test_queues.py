"""The queues and what is around them."""

from typing import Any

import pytest

from tests.template.bundle import SOURCE, Bundle

FOURTEEN_DAYS = 14 * 24 * 3600


@pytest.fixture(scope="module")
def queues(bundle: Bundle) -> dict[str, dict[str, Any]]:
    return bundle.of_type("AWS::SQS::Queue")


def test_every_queue_has_a_dead_letter_queue_that_keeps_for_14_days(
    bundle: Bundle, queues: dict[str, dict[str, Any]]
) -> None:
    dead_letters = {
        bundle.named("Arn", queue["RedrivePolicy"]["deadLetterTargetArn"], {"AWS::SQS::Queue"})
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    assert dead_letters == {"SliceDeadLetters", "LargeSliceDeadLetters", "MailDeadLetters"}
    for name, queue in queues.items():
        if name in dead_letters:
            assert queue["MessageRetentionPeriod"] == FOURTEEN_DAYS
        else:
            assert queue["RedrivePolicy"]["maxReceiveCount"] == 5


def test_every_queue_is_encrypted(queues: dict[str, dict[str, Any]]) -> None:
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())


def test_a_message_stays_hidden_a_minute_longer_than_its_function_may_run(
    bundle: Bundle, queues: dict[str, dict[str, Any]]
) -> None:
    mappings = bundle.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mappings
    for mapping in mappings:
        queue = bundle.named("Arn", mapping["EventSourceArn"], {"AWS::SQS::Queue"})
        function = bundle.named("Ref", mapping["FunctionName"], {"AWS::Lambda::Function"})
        assert queue
        assert function
        assert queues[queue]["VisibilityTimeout"] == bundle.properties(function)["Timeout"] + 60


def test_a_worker_takes_one_message_at_a_time_and_reports_each_failure(bundle: Bundle) -> None:
    mappings = bundle.of_type("AWS::Lambda::EventSourceMapping").values()
    takers = {bundle.named("Ref", each["FunctionName"], {"AWS::Lambda::Function"}) for each in mappings}
    assert takers == {"SlicerFunction", "MailerFunction"}
    for mapping in mappings:
        assert mapping["BatchSize"] == 1
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert int(mapping["ScalingConfig"]["MaximumConcurrency"]) >= 2


def test_each_slice_lane_has_rules_dead_letters_and_functions_of_its_own(
    bundle: Bundle, queues: dict[str, dict[str, Any]]
) -> None:
    small, large = queues["SliceQueue"], queues["LargeSliceQueue"]
    letters = [queue["RedrivePolicy"].pop("deadLetterTargetArn") for queue in (small, large)]
    assert letters == [
        bundle.attributes[name]["Arn"] for name in ("SliceDeadLetters", "LargeSliceDeadLetters")
    ]
    assert small == large
    sliced = {
        bundle.named("Arn", each["EventSourceArn"], {"AWS::SQS::Queue"}): each["ScalingConfig"]
        for each in bundle.of_type("AWS::Lambda::EventSourceMapping").values()
        if bundle.named("Ref", each["FunctionName"], {"AWS::Lambda::Function"}) == "SlicerFunction"
    }
    assert sliced == {
        "SliceQueue": {"MaximumConcurrency": "4"},
        "LargeSliceQueue": {"MaximumConcurrency": "2"},
    }


def test_the_slicer_outlives_the_longest_slice_by_the_time_to_fetch_and_store(bundle: Bundle) -> None:
    longest = SOURCE["Parameters"]["SlicerTimeoutMs"]["MaxValue"] / 1000
    assert longest + 60 <= bundle.properties("SlicerFunction")["Timeout"] <= 900


def test_one_dead_letter_raises_an_alarm(bundle: Bundle) -> None:
    alarms = list(bundle.of_type("AWS::CloudWatch::Alarm").values())
    watched = [alarm["Dimensions"] for alarm in alarms]
    for queue in ("SliceDeadLetters", "LargeSliceDeadLetters", "MailDeadLetters"):
        assert [{"Name": "QueueName", "Value": bundle.attributes[queue]["QueueName"]}] in watched
    for alarm in alarms:
        assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_the_janitor_comes_every_ten_minutes_and_a_missed_round_is_not_made_up(bundle: Bundle) -> None:
    (schedule,) = bundle.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "rate(10 minutes)"
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert bundle.named("Arn", schedule["Target"]["Arn"], {"AWS::Lambda::Function"}) == "JanitorFunction"
