"""What is built, what starts it, and what it is told."""

import json
import unittest

import contract
from stack import BUCKET, REPOSITORY, Stack, source

FUNCTIONS = {"MonitorFunction": "functions/monitor", "ApiFunction": "functions/api"}
EVENTS = REPOSITORY / "tests/fixtures/events"


class Build(unittest.TestCase):
    def test_runtime_and_architecture(self):
        stack = Stack()
        self.assertEqual(set(stack.of_type("AWS::Lambda::Function")), set(FUNCTIONS))
        for function in FUNCTIONS:
            with self.subTest(function):
                self.assertEqual(stack[function]["Runtime"], "provided.al2023")
                self.assertEqual(stack[function]["Architectures"], ["arm64"])
                self.assertEqual(stack[function]["Handler"], "bootstrap")

    def test_each_function_builds_the_program_of_its_package(self):
        binaries = contract.binaries()
        for function, folder in FUNCTIONS.items():
            with self.subTest(function):
                resource = source()["Resources"][function]
                self.assertEqual(resource["Properties"]["CodeUri"], folder)
                self.assertEqual(resource["Metadata"]["BuildMethod"], "rust-cargolambda")
                self.assertEqual(resource["Metadata"]["BuildProperties"], {"Binary": binaries[folder]})

    def test_one_cycle_at_a_time(self):
        self.assertEqual(Stack()["MonitorFunction"]["ReservedConcurrentExecutions"], 1)

    def test_a_new_account_can_do_without_the_reservation(self):
        self.assertNotIn("ReservedConcurrentExecutions", Stack(ReserveConcurrency="false")["MonitorFunction"])

    def test_the_api_answers_before_the_gateway_gives_up(self):
        self.assertLess(Stack()["ApiFunction"]["Timeout"], 30)

    def test_a_probe_and_a_usage_request_fit_into_the_time_limit(self):
        stack = Stack()
        timeout = float(stack["MonitorFunction"]["Timeout"])
        self.assertLessEqual(2 * float(stack.variables("MonitorFunction")["LLM_API_TIMEOUT"]), timeout)

    def test_the_monitor_can_live_in_a_vpc(self):
        self.assertNotIn("VpcConfig", Stack()["MonitorFunction"])
        stack = Stack(VpcSubnetIds="subnet-0a,subnet-0b", VpcSecurityGroupIds="sg-0c")
        expected = {"SubnetIds": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0c"]}
        self.assertEqual(stack["MonitorFunction"]["VpcConfig"], expected)


class Schedule(unittest.TestCase):
    def schedule(self, **parameters):
        ((_, schedule),) = Stack(**parameters).of_type("AWS::Scheduler::Schedule").items()
        return schedule

    def test_a_cycle_a_minute(self):
        self.assertEqual(self.schedule()["ScheduleExpression"], "rate(1 minute)")
        self.assertNotEqual(self.schedule().get("State"), "DISABLED")

    def test_other_intervals_are_said_as_the_scheduler_wants_them(self):
        for minutes in source()["Parameters"]["IntervalMinutes"]["AllowedValues"]:
            stack = Stack(IntervalMinutes=minutes)
            unit = "minute" if minutes == 1 else "minutes"
            with self.subTest(minutes=minutes):
                self.assertEqual(self.schedule(IntervalMinutes=minutes)["ScheduleExpression"], f"rate({minutes} {unit})")
                for function in FUNCTIONS:
                    self.assertEqual(stack.variables(function)["MONITOR_INTERVAL"], str(minutes * 60))

    def test_the_event_is_the_one_the_monitor_is_tested_with(self):
        sent = self.schedule()["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", "2026-11-24T16:54:00Z")
        self.assertEqual(json.loads(sent), json.loads((EVENTS / "monitor/scheduler.json").read_text(encoding="utf-8")))

    def test_it_starts_at_its_time(self):
        self.assertEqual(self.schedule()["FlexibleTimeWindow"], {"Mode": "OFF"})

    def test_nobody_retries_and_nobody_delivers_late(self):
        stack = Stack()
        (asynchronous,) = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(asynchronous["FunctionName"], "MonitorFunction")
        for who, policy in (("scheduler", self.schedule()["Target"]["RetryPolicy"]), ("lambda", asynchronous)):
            with self.subTest(who):
                self.assertEqual(policy["MaximumRetryAttempts"], 0)
                self.assertLessEqual(policy["MaximumEventAgeInSeconds"], 60)

    def test_its_name_is_the_stacks_own(self):
        # SAM names it after the function, so a second stack in the account could not be created.
        name = self.schedule().get("Name", "")
        self.assertTrue(not name or "llm-monitor" in name, name)


class Variables(unittest.TestCase):
    def test_every_one_is_a_setting(self):
        known = contract.settings()
        for function in FUNCTIONS:
            with self.subTest(function):
                self.assertEqual(set(Stack().variables(function)) - known, set())

    def test_both_find_the_records(self):
        stack = Stack(RecordsPrefix="team-a/llm")
        for function in FUNCTIONS:
            with self.subTest(function):
                variables = stack.variables(function)
                self.assertEqual(variables["STORE"], "s3")
                self.assertEqual(variables["RECORDS_BUCKET"], BUCKET)
                self.assertEqual(variables["RECORDS_PREFIX"], "team-a/llm")

    def test_parameters_arrive_under_their_own_names(self):
        # A mixed-up reference hands dev's key to prod. `ProdOpenAiApiKeyParameter` belongs into PROD_OPENAI_API_KEY_PARAMETER.
        template = source()
        variables = dict(template["Globals"]["Function"]["Environment"]["Variables"])
        for function in FUNCTIONS:
            variables |= template["Resources"][function]["Properties"]["Environment"]["Variables"]
        seen = set()
        for variable, value in variables.items():
            if not isinstance(value, dict) or "Ref" not in value or variable in ("RECORDS_BUCKET", "RUST_LOG"):
                continue
            with self.subTest(variable):
                self.assertEqual(value["Ref"].lower(), variable.replace("_", "").lower())
            seen.add(value["Ref"])
        handed_over = {name for name in template["Parameters"] if name.endswith(("Parameter", "Endpoint", "BaseUrl"))}
        self.assertEqual(handed_over - seen, set(), "parameters that reach no function")

    def test_the_api_gets_no_providers_key_not_even_its_name(self):
        names = [name for name in Stack().variables("ApiFunction") if name.endswith("_PARAMETER")]
        self.assertEqual(names, ["API_TOKEN_PARAMETER"])

    def test_they_fit_into_what_lambda_allows(self):
        filled = {}
        for name in source()["Parameters"]:
            if name.endswith("Parameter"):
                filled[name] = "/llm-monitor/production/openai"
            elif name.endswith(("Endpoint", "BaseUrl")):
                filled[name] = "https://gateway.example.com/v1"
        variables = Stack(**filled).variables("MonitorFunction")
        size = sum(len(name) + len(str(value)) for name, value in variables.items())
        # The rest is for a prompt of 1,000 characters, the longest that the parameter takes.
        self.assertLessEqual(size, 4096 - 1000)


class SampleEvents(unittest.TestCase):
    def test_they_are_consistent(self):
        files = sorted(EVENTS.glob("api/*.json"))
        self.assertGreater(len(files), 10)
        for path in files:
            with self.subTest(path.name):
                event = json.loads(path.read_text(encoding="utf-8"))
                context = event["requestContext"]
                self.assertEqual(event["version"], "2.0")
                self.assertEqual(event["rawPath"], context["http"]["path"])
                self.assertEqual(event["routeKey"], context["routeKey"])
                self.assertEqual(event["headers"]["host"], context["domainName"])
                self.assertEqual("anonymous" == context["accountId"], path.name.startswith("function-url"))
                in_path = event["rawPath"].startswith(f"/{context['stage']}/")
                self.assertEqual(in_path, context["stage"] != "$default")
