"""SQS, SES and Secrets Manager on this machine: moto's server, reached by boto3. See `Aws`."""

from devstack.aws.stand_in import REGION, Aws

__all__ = ["REGION", "Aws"]
