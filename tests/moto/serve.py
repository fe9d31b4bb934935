"""Serves S3 and Parameter Store on a free loopback port, with signatures checked, until standard input ends.

Prints one line of JSON: endpoint, bucket, access_key_id, secret_access_key.
"""

import json
import os
import sys
import threading

# The requests below are taken from anyone; from then on every request must be signed by the user made here.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "7"

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server  # noqa: E402

BUCKET = "llm-monitor-test"
ACTIONS = ["s3:*", "ssm:GetParameter", "secretsmanager:GetSecretValue"]
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ACTIONS, "Resource": "*"}]}
# What functions are given by reference: a key that the mock takes, and a token.
PARAMETERS = {
    "/llm-monitor/test/openai": "mock",
    "/llm-monitor/test/api-token": "token-of-the-parameter-store",
}


class Quiet(MotoRequestHandler):
    def log_request(self, *args):
        pass


# One request at a time: moto checks a condition and then writes, and two threads could do so at once.
server = make_server(
    "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False, request_handler=Quiet
)
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{server.server_address[1]}"
anyone = {
    "endpoint_url": endpoint,
    "region_name": "us-east-1",
    "aws_access_key_id": "anyone",
    "aws_secret_access_key": "anything",
    "config": Config(s3={"addressing_style": "path"}),
}
iam = boto3.client("iam", **anyone)
iam.create_user(UserName="monitor")
iam.put_user_policy(UserName="monitor", PolicyName="s3", PolicyDocument=json.dumps(POLICY))
key = iam.create_access_key(UserName="monitor")["AccessKey"]
boto3.client("s3", **anyone).create_bucket(Bucket=BUCKET)
ssm = boto3.client("ssm", **anyone)
for name, value in PARAMETERS.items():
    ssm.put_parameter(Name=name, Value=value, Type="SecureString")
boto3.client("secretsmanager", **anyone).create_secret(Name="llm-monitor-test-openai", SecretString="mock")
ready = {
    "endpoint": endpoint,
    "bucket": BUCKET,
    "access_key_id": key["AccessKeyId"],
    "secret_access_key": key["SecretAccessKey"],
}
print(json.dumps(ready), flush=True)
sys.stdin.read()
