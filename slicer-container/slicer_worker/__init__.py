"""The slicer worker: one worker, two homes (a Lambda function on the queue, a Fargate service that polls it)."""
