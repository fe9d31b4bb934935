"""Alarms, logs, Athena and what a person is asked."""

import base64
import json
import re
import tomllib
import unittest

import contract
from stack import BUCKET, REPOSITORY, Stack, source


class Alarms(unittest.TestCase):
    def metric(self, alarm: dict):
        """(namespace, name, resource) of each metric that an alarm looks at."""
        metrics = [alarm] if "MetricName" in alarm else [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]
        return {(m["Namespace"], m["MetricName"], m["Dimensions"][0]["Value"]) for m in metrics}

    def test_each_is_there_and_tells_someone_both_ways(self):
        alarms = Stack().of_type("AWS::CloudWatch::Alarm")
        watched = set().union(*(self.metric(alarm) for alarm in alarms.values()))
        for name in ("Invocations", "Errors", "Throttles", "Duration"):
            self.assertIn(("AWS/Lambda", name, "MonitorFunction"), watched)
        self.assertIn(("AWS/ApiGateway", "5xx", "HttpApi"), watched)
        self.assertIn(("AWS/Lambda", "Throttles", "ApiFunction"), watched)
        for name, alarm in alarms.items():
            with self.subTest(name):
                topic = ["arn:aws:sns:eu-west-1:123456789012:AlarmTopic"]
                self.assertEqual((alarm["AlarmActions"], alarm["OKActions"]), (topic, topic))
                self.assertTrue(alarm.get("ActionsEnabled", True))
                self.assertTrue(alarm["AlarmDescription"])

    def test_silence_is_an_alarm_after_five_minutes(self):
        alarm = Stack()["NoCycleAlarm"]
        periods = {m["MetricStat"]["Period"] for m in alarm["Metrics"] if "MetricStat" in m}
        self.assertEqual({int(p) * alarm["EvaluationPeriods"] for p in periods}, {300})
        self.assertEqual(alarm["TreatMissingData"], "breaching")
        self.assertEqual((alarm["ComparisonOperator"], alarm["Threshold"]), ("LessThanThreshold", 1))

    def test_a_cycle_that_failed_is_no_sign_of_life(self):
        (expression,) = [m["Expression"] for m in Stack()["NoCycleAlarm"]["Metrics"] if "Expression" in m]
        fill = {"FILL": lambda value, default: default if value is None else value}
        for invocations, errors, completed in ((5, 0, 5), (5, 5, 0), (None, None, 0), (5, None, 5)):
            value = eval(expression, fill, {"invocations": invocations, "errors": errors})  # noqa: S307
            self.assertEqual(value, completed)

    def test_silence_is_never_shorter_than_two_intervals(self):
        for minutes in source()["Parameters"]["IntervalMinutes"]["AllowedValues"]:
            stack = Stack(IntervalMinutes=minutes)
            with self.subTest(minutes=minutes):
                period = int(stack["NoCycleAlarm"]["Metrics"][1]["MetricStat"]["Period"])
                self.assertGreater(period, 2 * 60 * minutes)
                self.assertEqual(period % 60, 0)
                for name in ("MonitorErrorsAlarm", "MonitorThrottlesAlarm"):
                    self.assertEqual(int(stack[name]["Period"]), 60 * minutes)
                for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
                    metrics = [alarm] if "Period" in alarm else [m["MetricStat"] for m in alarm["Metrics"] if "MetricStat" in m]
                    # CloudWatch's own limit, for periods of an hour and more it is a week.
                    for metric in metrics:
                        limit = 604_800 if int(metric["Period"]) >= 3600 else 86_400
                        self.assertLessEqual(int(metric["Period"]) * alarm["EvaluationPeriods"], limit)

    def test_duration_is_measured_against_the_time_limit(self):
        for timeout in (60, 300):
            alarm = Stack(MonitorTimeout=timeout)["MonitorDurationAlarm"]
            (expression,) = [m["Expression"] for m in alarm["Metrics"] if "Expression" in m]
            with self.subTest(timeout=timeout):
                self.assertEqual(eval(expression, {}, {"duration": 900.0 * timeout}), 90)  # noqa: S307
            self.assertEqual((alarm["ComparisonOperator"], alarm["Threshold"]), ("GreaterThanThreshold", 90))

    def test_an_email_is_sent_where_one_is_given(self):
        self.assertEqual(Stack().of_type("AWS::SNS::Subscription"), {})
        (subscription,) = Stack(AlarmEmail="ops@example.com").of_type("AWS::SNS::Subscription").values()
        self.assertEqual((subscription["Protocol"], subscription["Endpoint"]), ("email", "ops@example.com"))

    def test_the_topic_is_not_encrypted_with_a_key_that_cloudwatch_may_not_use(self):
        self.assertNotIn("KmsMasterKeyId", Stack()["AlarmTopic"])


class Logs(unittest.TestCase):
    def test_they_end_and_each_function_has_its_own(self):
        stack = Stack(LogRetentionDays=7)
        groups = stack.of_type("AWS::Logs::LogGroup")
        self.assertEqual({group["RetentionInDays"] for group in groups.values()}, {"7"})
        for function, group in (("MonitorFunction", "MonitorLogs"), ("ApiFunction", "ApiLogs")):
            logging = stack[function]["LoggingConfig"]
            self.assertEqual(logging, {"LogGroup": groups[group]["LogGroupName"], "LogFormat": "JSON"})


class Athena(unittest.TestCase):
    def table(self, name="RecordsTable", **parameters):
        return Stack(**parameters)[name]["TableInput"]

    def test_the_tables_columns_are_the_csvs_in_its_order(self):
        table = self.table()
        self.assertEqual([c["Name"] for c in table["StorageDescriptor"]["Columns"]], contract.columns())
        # Types are the view's business: OpenCSVSerDe fails on an empty number.
        self.assertEqual({c["Type"] for c in table["StorageDescriptor"]["Columns"]}, {"string"})

    def test_its_serde_knows_quotes_and_skips_the_header(self):
        serde = self.table()["StorageDescriptor"]["SerdeInfo"]
        self.assertEqual(serde["SerializationLibrary"], "org.apache.hadoop.hive.serde2.OpenCSVSerde")
        self.assertEqual((serde["Parameters"]["separatorChar"], serde["Parameters"]["quoteChar"]), (",", '"'))
        self.assertNotIn(serde["Parameters"]["escapeChar"], ("\\", '"', ","))
        self.assertEqual(self.table()["Parameters"]["skip.header.line.count"], "1")

    def test_partitions_are_where_the_store_writes(self):
        for parameters, prefix in (({}, ""), ({"RecordsPrefix": "team-a/llm"}, "team-a/llm/")):
            table = self.table(Environments="dev,prod", **parameters)
            p = table["Parameters"]
            with self.subTest(prefix=prefix):
                layout = p["storage.location.template"]
                for key, value in {"env": "prod", "date": "2026-11-24", "hour": "04"}.items():
                    layout = layout.replace(f"${{{key}}}", value)
                self.assertEqual(layout, f"s3://{BUCKET}/{prefix}records/environment=prod/date=2026-11-24/hour=04/")
                self.assertEqual(table["StorageDescriptor"]["Location"], f"s3://{BUCKET}/{prefix}records/")
        self.assertEqual(p["projection.enabled"], "true")
        self.assertEqual((p["projection.env.type"], p["projection.env.values"]), ("enum", "dev,prod"))
        self.assertEqual((p["projection.date.type"], p["projection.date.format"]), ("date", "yyyy-MM-dd"))
        self.assertTrue(p["projection.date.range"].endswith(",NOW"))
        self.assertEqual((p["projection.hour.type"], p["projection.hour.range"], p["projection.hour.digits"]), ("integer", "0,23", "2"))

    def test_no_partition_has_the_name_of_a_column(self):
        table = self.table()
        keys = [key["Name"] for key in table["PartitionKeys"]]
        self.assertEqual(keys, ["env", "date", "hour"])
        self.assertEqual(set(keys) & set(contract.columns()), set())

    def view(self):
        table = self.table("RecordsView")
        text = re.fullmatch(r"/\* Presto View: (\S+) \*/", table["ViewOriginalText"])
        return table, json.loads(base64.b64decode(text[1]))

    def test_the_view_has_every_column_with_a_type(self):
        table, view = self.view()
        names = contract.columns() + ["date", "hour"]
        self.assertEqual([c["name"] for c in view["columns"]], names)
        self.assertEqual([c["Name"] for c in table["StorageDescriptor"]["Columns"]], names)
        hive = {"varchar": "string", "integer": "int", "timestamp(3)": "timestamp"}
        for presto, glue in zip(view["columns"], table["StorageDescriptor"]["Columns"]):
            with self.subTest(presto["name"]):
                self.assertEqual(hive.get(presto["type"], presto["type"]), glue["Type"])
                if presto["name"].endswith("_ms"):
                    self.assertEqual(presto["type"], "double")
                if presto["name"].endswith("_tokens"):
                    self.assertEqual(presto["type"], "bigint")

    def test_the_view_selects_what_it_declares(self):
        _, view = self.view()
        select, table = re.fullmatch(r"\s*SELECT (.*) FROM (\w+)\s*", view["originalSql"]).groups()
        self.assertEqual(table, self.table()["Name"])
        self.assertEqual(view["schema"], "llm_monitor")
        # At commas outside parentheses.
        expressions = re.split(r", (?![^()]*\))", re.sub(r"\(38,12\)", "(38_12)", select))
        self.assertEqual(len(expressions), len(view["columns"]))
        for expression, column in zip(expressions, view["columns"]):
            with self.subTest(column["name"]):
                expression = expression.replace("38_12", "38,12")
                self.assertEqual(expression.split(" AS ")[-1].strip(), column["name"])
                kind = re.search(r"CAST\(.* AS (\w+(?:\([0-9,]+\))?)\) AS \w+$", expression)
                if kind:
                    self.assertEqual(kind[1], column["type"])
                else:
                    self.assertIn(column["type"], ("varchar", "integer"))
                if column["name"] not in ("environment", "date", "hour"):
                    self.assertRegex(expression, rf"\({column['name']}\b")

    def test_the_views_environment_is_the_partition(self):
        # So that a query for one environment reads only its objects.
        self.assertIn(" env AS environment,", self.view()[1]["originalSql"])

    def test_the_workgroup_stops_a_dear_query_and_saved_queries_name_a_day(self):
        stack = Stack()
        group = stack["WorkGroup"]["WorkGroupConfiguration"]
        self.assertTrue(group["EnforceWorkGroupConfiguration"])
        self.assertEqual(group["BytesScannedCutoffPerQuery"], "10000000000")
        self.assertEqual(group["ManagedQueryResultsConfiguration"], {"Enabled": True})
        queries = stack.of_type("AWS::Athena::NamedQuery")
        self.assertGreaterEqual(len(queries), 3)
        for name, query in queries.items():
            with self.subTest(name):
                self.assertEqual((query["WorkGroup"], query["Database"]), ("WorkGroup", "llm_monitor"))
                self.assertRegex(query["QueryString"], r"WHERE date >?= CAST\(current_date")
                self.assertIn("FROM records\n", query["QueryString"])
        self.assertRegex(stack.outputs["ExampleQuery"], r"FROM llm_monitor\.records WHERE date >= CAST\(current_date")


class Parameters(unittest.TestCase):
    def test_each_is_described_and_shown_in_one_group(self):
        template = source()
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(shown), sorted(template["Parameters"]))
        for name, parameter in template["Parameters"].items():
            with self.subTest(name):
                self.assertTrue(parameter["Description"].endswith("."), parameter["Description"])
                self.assertIn("Default", parameter)

    def test_each_default_is_one_that_would_be_accepted(self):
        for name, parameter in source()["Parameters"].items():
            with self.subTest(name):
                default = parameter["Default"]
                if "AllowedPattern" in parameter:
                    self.assertRegex(str(default), parameter["AllowedPattern"])
                    self.assertIn("ConstraintDescription", parameter)
                if "AllowedValues" in parameter:
                    self.assertIn(default, parameter["AllowedValues"])

    def test_the_defaults_are_the_programs_own(self):
        variables = Stack().variables("MonitorFunction")
        for name, default in {
            "MULTI_ENV_MODE": "simple",
            "ENVIRONMENT": "dev",
            "ENVIRONMENTS": "dev,test,qa,prod",
            "MONITOR_INTERVAL": "60",
            "LLM_API_TIMEOUT": "30",
            "PROBE_MAX_OUTPUT_TOKENS": "128",
            "MAX_CONCURRENT_PROBES": "64",
        }.items():
            with self.subTest(name):
                self.assertEqual(variables[name], default)

    def test_every_one_is_used(self):
        text = json.dumps({k: v for k, v in source().items() if k not in ("Parameters", "Metadata")})
        for name in source()["Parameters"]:
            with self.subTest(name):
                self.assertRegex(text, rf'"Ref": "{name}"|\$\{{{name}\}}')


class Outputs(unittest.TestCase):
    def test_what_a_person_needs_next(self):
        outputs = Stack(RecordsPrefix="team-a").outputs
        self.assertTrue(outputs["ApiUrl"].startswith("https://"))
        self.assertEqual(outputs["BucketName"], BUCKET)
        self.assertEqual(outputs["RecordsLocation"], f"s3://{BUCKET}/team-a/records/")
        self.assertEqual(outputs["AthenaView"], "llm_monitor.records")
        self.assertEqual(outputs["AthenaTable"], "llm_monitor.records_csv")


class SamConfig(unittest.TestCase):
    def test_it_names_what_the_template_has(self):
        config = tomllib.loads((REPOSITORY / "samconfig.toml").read_text(encoding="utf-8"))
        deploy = config["default"]["deploy"]["parameters"]
        # The roles have no names of their own.
        self.assertEqual(deploy["capabilities"], "CAPABILITY_IAM")
        self.assertTrue(deploy["confirm_changeset"])
        for environment in config.values():
            if not isinstance(environment, dict):
                continue
            for override in environment.get("deploy", {}).get("parameters", {}).get("parameter_overrides", []):
                self.assertIn(override.split("=", 1)[0], source()["Parameters"])
