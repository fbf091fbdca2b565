"""A template that cannot be served is refused, and the message names what is wrong."""

from pathlib import Path

import pytest

from devstack.aws import Aws
from devstack.gateway import TemplateError
from devstack.gateway.deployment import deploy

FUNCTION = """
Parameters:
  Size: {Type: Number, Default: 1, MinValue: 1, MaxValue: 9}
  Kind: {Type: String, Default: a, AllowedValues: [a, b]}
  Name: {Type: String, Default: x, AllowedPattern: "[a-z]+"}
Conditions: {Never: !Equals [a, b]}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Absent: {Type: AWS::SQS::Queue, Condition: Never}
  Topic: {Type: AWS::SNS::Topic}
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      %s
"""


def read(aws: Aws, folder: Path, line: str, **parameters: str) -> None:
    template = folder / "template.yaml"
    template.write_text(FUNCTION % line)
    deploy(template, parameters=parameters, aws=aws, api_url="http://x", built=False, stack_name=folder.name)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "Environment: {Variables: {A: !Ref Nobody}}",
            r"Shop.*A: !Ref Nobody names no parameter and no resource",
        ),
        ("Environment: {Variables: {A: !GetAtt Queue.Age}}", r"!GetAtt Queue.Age cannot be resolved"),
        ("Environment: {Variables: {A: !Ref Topic}}", r"!Ref Topic cannot be resolved: AWS::SNS::Topic"),
        ("Environment: {Variables: {A: !Ref Absent}}", r"!Ref Absent: condition Never leaves it out"),
        ("Environment: {Variables: {A: !Sub '${Queue.Arn}/${No}'}}", r"!Ref No names no parameter"),
        ("Environment: {Variables: {A: !If [Never, 1, !Ref No]}}", r"!Ref No names no parameter"),
        ("Environment: {Variables: {A: !If [Ever, 1, 2]}}", r"there is no condition Ever"),
        ("Environment: {Variables: {A: !ImportValue other}}", r"Fn::ImportValue is not supported"),
        ("Environment: {Variables: {A: '{{resolve:ssm:/none}}'}}", r"SSM parameter /none cannot be read"),
        (
            "Environment: {Variables: {A: '{{resolve:secretsmanager:none}}'}}",
            r"secretsmanager:none\}\} cannot be",
        ),
        ("Layers: ['arn:aws:lambda:x:1:layer:far:1']", r"layer:far:1 is not a layer of this template"),
        ("Events: {A: {Type: S3, Properties: {}}}", r"events of type S3 are not served here"),
        (
            "Events: {A: {Type: SQS, Properties: {Queue: 'arn:aws:sqs:x:1:far'}}}",
            r"is not a queue of this template",
        ),
        ("Events: {A: {Type: Schedule, Properties: {Schedule: at(2030)}}}", r"at\(2030\) is no schedule"),
        ("Events: {A: {Type: HttpApi, Properties: {Path: /, Auth: {}}}}", r"Auth is not served here"),
    ],
)
def test_what_cannot_be_resolved_is_named(aws: Aws, tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        read(aws, tmp_path, line)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Size": "10"}, "parameter Size: 10 is more than 9"),
        ({"Size": "many"}, "parameter Size: 'many' is not a number"),
        ({"Kind": "c"}, "parameter Kind: 'c' is none of a, b"),
        ({"Name": "X1"}, "parameter Name: 'X1' does not match"),
        ({"Else": "1"}, "declares no parameter Else"),
    ],
)
def test_a_parameter_out_of_bounds_is_named(
    aws: Aws, tmp_path: Path, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(TemplateError, match=message):
        read(aws, tmp_path, "Timeout: 3", **parameters)
