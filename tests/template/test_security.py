"""Who may do what, and that no secret is in sight."""

import json
import re
import unittest

import contract
from permissions import actions, allows, statements
from stack import BUCKET, Stack, source, translated

OBJECTS = f"arn:aws:s3:::{BUCKET}"
SSM = "arn:aws:ssm:eu-west-1:123456789012:parameter"
WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketPolicy", "s3:PutObjectAcl")
TREES = ("records/environment=prod/date=2026-11-24/hour=16/monitor-eu-west-1.csv", "catalog/environment=prod.json")
POST_ON = {"AllowPost": "true", "ApiTokenParameter": "/llm-monitor/api-token"}
KEY = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
EVERYTHING_ON = {
    **POST_ON,
    "SecretsKmsKeyArn": KEY,
    "RecordsKmsKeyArn": KEY,
    "RecordsPrefix": "team-a",
    "VpcSubnetIds": "subnet-0a",
    "VpcSecurityGroupIds": "sg-0b",
}


class Monitor(unittest.TestCase):
    def test_it_reads_and_appends_below_its_prefix_only(self):
        plain, prefixed = Stack(), Stack(RecordsPrefix="team-a")
        for key in TREES:
            for action in ("s3:GetObject", "s3:PutObject"):
                with self.subTest(key=key, action=action):
                    self.assertTrue(allows(plain, "MonitorRole", action, f"{OBJECTS}/{key}"))
                    self.assertTrue(allows(prefixed, "MonitorRole", action, f"{OBJECTS}/team-a/{key}"))
                    self.assertFalse(allows(prefixed, "MonitorRole", action, f"{OBJECTS}/{key}"))
                    self.assertFalse(allows(prefixed, "MonitorRole", action, f"{OBJECTS}/team-ab/{key}"))
                    self.assertFalse(allows(plain, "MonitorRole", action, f"arn:aws:s3:::somebody-elses/{key}"))

    def test_a_missing_object_is_404_and_not_403(self):
        # S3 says so only to who may list, and asks that with no prefix.
        for role in ("MonitorRole", "ApiRole"):
            with self.subTest(role):
                self.assertTrue(allows(Stack(RecordsPrefix="team-a"), role, "s3:ListBucket", OBJECTS))

    def test_it_lists_its_own_prefix_only(self):
        for role in ("MonitorRole", "ApiRole"):
            with self.subTest(role):
                stack = Stack(RecordsPrefix="team-a")
                self.assertTrue(allows(stack, role, "s3:ListBucket", OBJECTS, s3_prefix="team-a/records/environment=prod/"))
                self.assertFalse(allows(stack, role, "s3:ListBucket", OBJECTS, s3_prefix="team-b/records/"))

    def test_it_deletes_nothing(self):
        for action in WRITES[1:]:
            with self.subTest(action):
                self.assertFalse(allows(Stack(**EVERYTHING_ON), "MonitorRole", action, f"{OBJECTS}/team-a/{TREES[0]}"))
                self.assertFalse(allows(Stack(**EVERYTHING_ON), "MonitorRole", action, OBJECTS))

    def test_it_reads_each_secret_that_is_named_and_no_other(self):
        names = [name for name in source()["Parameters"] if name.endswith("Parameter") and name != "ApiTokenParameter"]
        self.assertEqual(len(names), len(contract.SECRETS) - 1)
        for name in names:
            with self.subTest(name):
                stack = Stack(**{name: "/llm-monitor/this-one"})
                self.assertTrue(allows(stack, "MonitorRole", "ssm:GetParameter", f"{SSM}/llm-monitor/this-one"))
                self.assertFalse(allows(stack, "MonitorRole", "ssm:GetParameter", f"{SSM}/llm-monitor/this-one-too"))
                self.assertFalse(allows(stack, "MonitorRole", "ssm:PutParameter", f"{SSM}/llm-monitor/this-one"))
        for resource in (f"{SSM}/anything", f"{SSM}/", "*"):
            with self.subTest(resource):
                self.assertFalse(allows(Stack(), "MonitorRole", "ssm:GetParameter", resource))

    def test_it_does_not_read_the_apis_token(self):
        self.assertFalse(allows(Stack(**POST_ON), "MonitorRole", "ssm:GetParameter", f"{SSM}/llm-monitor/api-token"))


class Api(unittest.TestCase):
    def test_it_writes_rollups_alone(self):
        rollup = "rollups/environment=prod/date=2026-11-24.csv"
        self.assertTrue(allows(Stack(), "ApiRole", "s3:PutObject", f"{OBJECTS}/{rollup}"))
        self.assertTrue(allows(Stack(RecordsPrefix="team-a"), "ApiRole", "s3:PutObject", f"{OBJECTS}/team-a/{rollup}"))
        self.assertFalse(allows(Stack(RecordsPrefix="team-a"), "ApiRole", "s3:PutObject", f"{OBJECTS}/{rollup}"))
        for parameters in ({}, {"ApiTokenParameter": "/llm-monitor/api-token", "RecordsKmsKeyArn": KEY}):
            stack = Stack(**parameters)
            for action in WRITES:
                for resource in (OBJECTS, *(f"{OBJECTS}/{key}" for key in TREES)):
                    with self.subTest(action=action, resource=resource):
                        self.assertFalse(allows(stack, "ApiRole", action, resource))
            changing = {a for a in actions(stack, "ApiRole") if re.search(r":(Put|Delete|Create|Update|\*)", a)}
            self.assertEqual(changing, {"logs:CreateLogStream", "logs:PutLogEvents", "s3:PutObject"})

    def test_with_post_it_appends_records_and_nothing_else(self):
        stack = Stack(**POST_ON)
        records, catalog = (f"{OBJECTS}/{key}" for key in TREES)
        self.assertTrue(allows(stack, "ApiRole", "s3:PutObject", records))
        self.assertFalse(allows(stack, "ApiRole", "s3:PutObject", catalog))
        self.assertFalse(allows(stack, "ApiRole", "s3:DeleteObject", records))
        self.assertTrue(allows(Stack(**EVERYTHING_ON), "ApiRole", "s3:PutObject", f"{OBJECTS}/team-a/{TREES[0]}"))
        self.assertFalse(allows(Stack(**EVERYTHING_ON), "ApiRole", "s3:PutObject", records))

    def test_it_reads(self):
        for key in TREES:
            with self.subTest(key):
                self.assertTrue(allows(Stack(), "ApiRole", "s3:GetObject", f"{OBJECTS}/{key}"))

    def test_it_reads_its_token_and_no_providers_key(self):
        stack = Stack(OpenAiApiKeyParameter="/llm-monitor/openai", **POST_ON)
        self.assertTrue(allows(stack, "ApiRole", "ssm:GetParameter", f"{SSM}/llm-monitor/api-token"))
        self.assertFalse(allows(stack, "ApiRole", "ssm:GetParameter", f"{SSM}/llm-monitor/openai"))
        self.assertFalse(allows(Stack(), "ApiRole", "ssm:GetParameter", f"{SSM}/anything"))


class Roles(unittest.TestCase):
    def test_no_wildcards(self):
        stack = Stack(**EVERYTHING_ON)
        for role in stack.of_type("AWS::IAM::Role"):
            for statement in statements(stack, role):
                with self.subTest(role=role, sid=statement.get("Sid")):
                    self.assertNotIn("*", "".join(statement["Action"]))
                    if statement.get("Sid") != "AttachToVpc":
                        self.assertNotIn("*", [statement["Resource"]])

    def test_no_network_permissions_outside_a_vpc(self):
        self.assertEqual({a for a in actions(Stack(), "MonitorRole") if a.startswith("ec2:")}, set())

    def test_each_writes_its_own_log_only(self):
        logs = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/llm-monitor-"
        for role, own, others in (("MonitorRole", "monitor", "api"), ("ApiRole", "api", "monitor")):
            with self.subTest(role):
                stream = ":log-stream:2026/11/24/[$LATEST]0f1e2d3c"
                self.assertTrue(allows(Stack(), role, "logs:PutLogEvents", f"{logs}{own}{stream}"))
                self.assertFalse(allows(Stack(), role, "logs:PutLogEvents", f"{logs}{others}{stream}"))

    def test_the_functions_have_these_roles_and_only_lambda_takes_them(self):
        stack = Stack()
        for function, role in (("MonitorFunction", "MonitorRole"), ("ApiFunction", "ApiRole")):
            with self.subTest(function):
                self.assertEqual(stack[function]["Role"], f"arn:aws:iam::123456789012:role/{role}")
                (trust,) = stack[role]["AssumeRolePolicyDocument"]["Statement"]
                self.assertEqual(trust["Principal"], {"Service": "lambda.amazonaws.com"})

    def test_the_schedule_may_start_the_monitor_and_nothing_else(self):
        stack = Stack()
        (schedule,) = stack.of_type("AWS::Scheduler::Schedule").values()
        role = schedule["Target"]["RoleArn"].rsplit("/", 1)[1]
        self.assertEqual(actions(stack, role), {"lambda:InvokeFunction"})
        self.assertEqual([s["Resource"] for s in statements(stack, role)], [schedule["Target"]["Arn"]])
        self.assertTrue(schedule["Target"]["Arn"].endswith(":MonitorFunction"))

    def test_keys_are_used_through_their_service_only(self):
        stack = Stack(**EVERYTHING_ON)
        for role in ("MonitorRole", "ApiRole"):
            with self.subTest(role):
                self.assertFalse(allows(stack, role, "kms:Decrypt", KEY))
                for service in ("s3", "ssm"):
                    via = f"{service}.eu-west-1.amazonaws.com"
                    self.assertTrue(allows(stack, role, "kms:Decrypt", KEY, kms_ViaService=via))
    def test_who_may_write_an_object_may_encrypt_it(self):
        # With a key of one's own S3 refuses to store what the writer could get no data key for: the API's rollups too.
        for parameters in ({"RecordsKmsKeyArn": KEY}, EVERYTHING_ON):
            stack = Stack(**parameters)
            for role in ("MonitorRole", "ApiRole"):
                with self.subTest(role=role, parameters=parameters):
                    self.assertIn("s3:PutObject", actions(stack, role))
                    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                        self.assertTrue(allows(stack, role, action, KEY, kms_ViaService="s3.eu-west-1.amazonaws.com"))

    def test_without_keys_of_ones_own_there_is_no_permission_for_any(self):
        without = Stack()
        self.assertEqual({a for r in ("MonitorRole", "ApiRole") for a in actions(without, r) if a.startswith("kms:")}, set())


class Secrets(unittest.TestCase):
    def test_none_is_a_variable(self):
        for function in ("MonitorFunction", "ApiFunction"):
            with self.subTest(function):
                self.assertEqual(set(Stack().variables(function)) & contract.SECRETS, set())

    def test_none_is_resolved_into_the_stack(self):
        # {{resolve:ssm-secure:…}} would lay the value into the function's configuration, for anyone to read.
        self.assertNotIn("{{resolve", json.dumps(translated()))

    def test_what_wants_a_name_refuses_a_key(self):
        for name, parameter in source()["Parameters"].items():
            if not name.endswith("Parameter"):
                continue
            with self.subTest(name):
                self.assertRegex("/llm-monitor/prod/openai", parameter["AllowedPattern"])
                for key in ("sk-proj-abc123", "AIzaSyA-abc123", "llm-monitor/openai", "/a b", "/llm-monitor/*", "/"):
                    self.assertNotRegex(key, parameter["AllowedPattern"])

    def test_what_wants_an_address_refuses_credentials(self):
        for name, parameter in source()["Parameters"].items():
            if not name.endswith(("Endpoint", "BaseUrl")):
                continue
            with self.subTest(name):
                for good in ("http://10.0.0.7:8001/api/llm-usage", "https://gw.example.com/v1", "https://gw.example.com"):
                    self.assertRegex(good, parameter["AllowedPattern"])
                for bad in ("https://user:secret@gw.example.com/v1", "gw.example.com", "ftp://gw.example.com"):
                    self.assertNotRegex(bad, parameter["AllowedPattern"])


class Gateway(unittest.TestCase):
    def routes(self, **parameters):
        return {route["RouteKey"]: route for route in Stack(**parameters).of_type("AWS::ApiGatewayV2::Route").values()}

    def test_every_route_reaches_the_function_in_the_format_it_reads(self):
        stack = Stack(**POST_ON)
        ((name, integration),) = stack.of_type("AWS::ApiGatewayV2::Integration").items()
        self.assertEqual(integration["PayloadFormatVersion"], "2.0")
        self.assertIn("function:ApiFunction/", integration["IntegrationUri"])
        self.assertEqual({r["Target"] for r in self.routes().values()}, {f"integrations/{name}"})
        self.assertEqual(stack["ApiPermission"]["Principal"], "apigateway.amazonaws.com")
        self.assertEqual(stack["ApiPermission"]["FunctionName"], "ApiFunction")
        self.assertIn(":HttpApi/*", stack["ApiPermission"]["SourceArn"])

    def test_it_refuses_post_unless_it_is_on(self):
        self.assertEqual(self.routes()["POST /api/{proxy+}"]["AuthorizationType"], "AWS_IAM")
        self.assertEqual([key for key in self.routes(**POST_ON) if key.startswith("POST")], [])

    def test_a_jwt_guards_the_data_and_not_the_preflight(self):
        routes = self.routes(JwtIssuer="https://issuer.example.com", JwtAudience="one,two")
        # What the function's own token guards, or keeps from strangers.
        for guarded in ("ANY /api/{proxy+}", "GET /metrics", "GET /badge/{proxy+}", "GET /health"):
            with self.subTest(guarded):
                self.assertEqual(routes[guarded]["AuthorizationType"], "JWT")
                self.assertEqual(routes[guarded]["AuthorizerId"], "JwtAuthorizer")
        self.assertEqual(routes["$default"].get("AuthorizationType", "NONE"), "NONE")
        self.assertEqual(routes["OPTIONS /api/{proxy+}"].get("AuthorizationType", "NONE"), "NONE")
        authorizer = Stack(JwtIssuer="https://issuer.example.com", JwtAudience="one,two")["JwtAuthorizer"]
        expected = {"Issuer": "https://issuer.example.com", "Audience": ["one", "two"]}
        self.assertEqual(authorizer["JwtConfiguration"], expected)

    def test_without_one_there_is_no_authorizer(self):
        self.assertEqual(self.routes()["ANY /api/{proxy+}"]["AuthorizationType"], "NONE")
        self.assertNotIn("AuthorizerId", self.routes()["ANY /api/{proxy+}"])
        self.assertEqual([key for key, route in self.routes().items() if route.get("AuthorizationType") == "JWT"], [])
        self.assertEqual(Stack().of_type("AWS::ApiGatewayV2::Authorizer"), {})

    def test_settings_that_exclude_each_other_are_refused(self):
        self.assertEqual(Stack().broken_rules(), [])
        self.assertEqual(Stack(**POST_ON).broken_rules(), [])
        self.assertEqual(Stack(JwtIssuer="https://i.example.com", JwtAudience="one").broken_rules(), [])
        for parameters, named in (
            ({"JwtIssuer": "https://i.example.com", "JwtAudience": "one", "ApiTokenParameter": "/t"}, "not both"),
            ({"JwtIssuer": "https://i.example.com"}, "JwtAudience"),
            ({"AllowPost": "true"}, "ApiTokenParameter"),
        ):
            with self.subTest(parameters):
                (rule,) = Stack(**parameters).broken_rules()
                self.assertIn(named, rule)

    def test_it_is_throttled_and_logs_nothing_private(self):
        stage = Stack(ApiRateLimit=7, ApiBurstLimit=9)["HttpApiStage"]
        self.assertEqual(stage["StageName"], "$default")
        self.assertEqual(stage["DefaultRouteSettings"], {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9"})
        line = stage["AccessLogSettings"]["Format"]
        self.assertNotIn("\n", line)
        fields = json.loads(line)
        self.assertIn("$context.status", fields.values())
        self.assertNotRegex(line, r"query|header|\$context\.authorizer\.claims|authorizer\.principal")
        self.assertIn("log-group:/aws/vendedlogs/", stage["AccessLogSettings"]["DestinationArn"])


class Bucket(unittest.TestCase):
    def test_it_is_private_versioned_and_encrypted(self):
        bucket = Stack()["RecordsBucket"]
        self.assertEqual(bucket["VersioningConfiguration"], {"Status": "Enabled"})
        self.assertEqual(set(bucket["PublicAccessBlockConfiguration"].values()), {True})
        self.assertEqual(len(bucket["PublicAccessBlockConfiguration"]), 4)
        self.assertEqual(bucket["OwnershipControls"]["Rules"], [{"ObjectOwnership": "BucketOwnerEnforced"}])
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        self.assertEqual(rule, {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}})
        (rule,) = Stack(RecordsKmsKeyArn=KEY)["RecordsBucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        self.assertEqual(rule, {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": by_default})

    def test_it_outlives_the_stack(self):
        for name in ("RecordsBucket", "RecordsBucketPolicy"):
            with self.subTest(name):
                resource = Stack().resources[name]
                self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("Retain", "Retain"))

    def test_old_versions_go_and_records_stay(self):
        rules = Stack(OldVersionsDays=3)["RecordsBucket"]["LifecycleConfiguration"]["Rules"]
        self.assertEqual([r["NoncurrentVersionExpiration"]["NoncurrentDays"] for r in rules], ["3"])
        self.assertEqual({r["Status"] for r in rules}, {"Enabled"})
        for rule in rules:
            self.assertEqual({key for key in rule if key.startswith(("Expiration", "Transition"))}, set())

    def test_it_speaks_tls_only(self):
        policy = Stack()["RecordsBucketPolicy"]
        self.assertEqual(policy["Bucket"], BUCKET)
        denials = {json.dumps(s["Condition"]): s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"}
        for condition in ({"Bool": {"aws:SecureTransport": "false"}}, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}):
            with self.subTest(condition):
                denial = denials[json.dumps(condition)]
                self.assertEqual((denial["Principal"], denial["Action"]), ("*", "s3:*"))
                self.assertEqual(set(denial["Resource"]), {OBJECTS, f"{OBJECTS}/*"})
