"""Breaks the template in ways that would hurt, and demands that the named test notices: a test that cannot fail tests nothing."""

import io
import logging
import sys
import tempfile
import unittest
from pathlib import Path

import stack

# What is broken, by which replacement, and which test has to fail.
MUTATIONS = [
    # What is built.
    ("an unknown property", "MemorySize: !Ref ApiMemory", "MemorySizes: !Ref ApiMemory", "test_lint"),
    ("a reference to nothing", "Target: !Sub integrations/${ApiIntegration}", "Target: !Sub integrations/${Integration}", "test_lint"),
    ("an old runtime", "Runtime: provided.al2023", "Runtime: provided.al2", "test_runtime_and_architecture"),
    ("another architecture", "Architectures: [arm64]", "Architectures: [x86_64]", "test_runtime_and_architecture"),
    ("another binary", "Binary: monitor", "Binary: api", "test_each_function_builds"),
    # The schedule.
    ("an unknown unit", "rate(1 minute)", "rate(1 minutes)", "test_a_cycle_a_minute"),
    ("one unit for all", 'rate(${IntervalMinutes} minutes)"', 'rate(${IntervalMinutes} minute)"', "test_other_intervals"),
    ("an event of another shape", '"shard":0', '"shards_":0', "test_the_event_is_the_one"),
    ("a rule's placeholder", "<aws.scheduler.scheduled-time>", "<aws.events.event.time>", "test_the_event_is_the_one"),
    ("the scheduler retries", "RetryPolicy:\n              MaximumRetryAttempts: 0", "RetryPolicy:\n              MaximumRetryAttempts: 1", "test_nobody_retries"),
    ("Lambda retries", "EventInvokeConfig:\n        MaximumRetryAttempts: 0", "EventInvokeConfig:\n        MaximumRetryAttempts: 1", "test_nobody_retries"),
    ("late events", "MaximumEventAgeInSeconds: 60", "MaximumEventAgeInSeconds: 600", "test_nobody_retries"),
    ("a flexible start", 'Mode: "OFF"', "Mode: FLEXIBLE\n              MaximumWindowInMinutes: 5", "test_it_starts_at_its_time"),
    ("SAM's own name", "OmitName: true", "OmitName: false", "test_its_name_is_the_stacks_own"),
    ("cycles side by side", "[HasReservation, 1,", "[HasReservation, 2,", "test_one_cycle_at_a_time"),
    # Variables.
    ("a setting that is none", "LLM_API_TIMEOUT:", "LLM_TIMEOUT:", "test_every_one_is_a_setting"),
    ("a key in clear text", "OPENAI_API_KEY_PARAMETER: !Ref OpenAi", "OPENAI_API_KEY: !Ref OpenAi", "test_none_is_a_variable"),
    ("a key resolved into the stack", "OPENAI_API_KEY_PARAMETER: !Ref OpenAiApiKeyParameter", "OPENAI_API_KEY_PARAMETER: !Sub '{{resolve:ssm-secure:${OpenAiApiKeyParameter}}}'", "test_none_is_resolved"),
    ("dev's key for prod", "PROD_OPENAI_API_KEY_PARAMETER: !Ref ProdOpen", "PROD_OPENAI_API_KEY_PARAMETER: !Ref DevOpen", "test_parameters_arrive"),
    ("the API gets a key's name", "API_TOKEN_PARAMETER: !Ref ApiTokenParameter", "API_TOKEN_PARAMETER: !Ref ApiTokenParameter\n          OPENAI_API_KEY_PARAMETER: !Ref OpenAiApiKeyParameter", "test_the_api_gets_no_providers_key"),
    ("a name may be a key", "^$|^(/[A-Za-z0-9_.-]+)+$", "^$|^[A-Za-z0-9_./-]+$", "test_what_wants_a_name"),
    ("an address may hold a password", "^https?://[^/@\\s]+(/\\S*)?$", "^https?://\\S+$", "test_what_wants_an_address"),
    # Permissions.
    ("the API may write", "Sid: Read\n                Effect: Allow\n                Action: s3:GetObject", "Sid: Read\n                Effect: Allow\n                Action: [s3:GetObject, s3:PutObject]", "test_it_writes_rollups_alone"),
    ("POST may write all", "${Prefix}records/*\n                    - Prefix", "${Prefix}*\n                    - Prefix", "test_with_post_it_appends"),
    ("POST without its switch", "- PostIsOn\n                - Sid", "- PostIsOff\n                - Sid", "test_it_writes_rollups_alone"),
    ("the monitor may delete", "[s3:GetObject, s3:PutObject]", "[s3:GetObject, s3:PutObject, s3:DeleteObject]", "test_it_deletes_nothing"),
    ("any action", "[s3:GetObject, s3:PutObject]", '["s3:*"]', "test_no_wildcards"),
    ("any bucket", "${RecordsBucket.Arn}/${Prefix}*", "arn:aws:s3:::*/${Prefix}*", "test_it_reads_and_appends"),
    ("any prefix", "s3:prefix: !Sub\n                      - ${Prefix}*", "s3:prefix: !Sub\n                      - '*'", "test_it_lists_its_own_prefix"),
    ("403 for what is missing", "StringLikeIfExists", "StringLike", "test_a_missing_object_is_404"),
    ("any secret", "parameter${GeminiApiKeyParameter}", "parameter*", "test_it_reads_each_secret"),
    ("a secret forgotten", "                  - !Sub arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${QaUsageTokenParameter}\n", "", "test_it_reads_each_secret"),
    ("any log", "Resource: !GetAtt ApiLogs.Arn", "Resource: !Sub arn:aws:logs:*:*:log-group:/aws/lambda/*", "test_each_writes_its_own_log"),
    ("keys for anything", "kms:ViaService", "kms:CallerAccount", "test_keys_are_used_through"),
    ("rollups without their key", "Action: [kms:Decrypt, kms:GenerateDataKey]", "Action: [kms:Decrypt]", "test_who_may_write"),
    # The gateway.
    ("metrics for everyone", "RouteKey: GET /metrics\n      AuthorizationType: JWT", "RouteKey: GET /metrics\n      AuthorizationType: NONE", "test_a_jwt_guards"),
    ("POST passes", "Condition: PostIsOff\n    Properties:\n      ApiId: !Ref HttpApi\n      RouteKey: POST", "Condition: PostIsOn\n    Properties:\n      ApiId: !Ref HttpApi\n      RouteKey: POST", "test_it_refuses_post"),
    ("the JWT guards nothing", "[UseJwt, JWT, NONE]", "[UseJwt, NONE, NONE]", "test_a_jwt_guards"),
    ("the old payload format", 'PayloadFormatVersion: "2.0"', 'PayloadFormatVersion: "1.0"', "test_every_route_reaches"),
    ("queries in the log", '"path":"$context.path"', '"path":"$context.path?$context.queryString"', "test_it_is_throttled_and_logs"),
    ("POST with no token", "Assert: !Not [!Equals [!Ref ApiTokenParameter", "Assert: !Not [!Equals [!Ref AllowPost", "test_settings_that_exclude"),
    # The bucket.
    ("no versions", "VersioningConfiguration:\n        Status: Enabled", "VersioningConfiguration:\n        Status: Suspended", "test_it_is_private"),
    ("public", "RestrictPublicBuckets: true", "RestrictPublicBuckets: false", "test_it_is_private"),
    ("goes with the stack", "DeletionPolicy: Retain", "DeletionPolicy: Delete", "test_it_outlives"),
    ("records expire", "NoncurrentVersionExpiration:", "ExpirationInDays: 30\n            NoncurrentVersionExpiration:", "test_old_versions_go"),
    ("plain HTTP", 'aws:SecureTransport: "false"', 'aws:SecureTransport: "true"', "test_it_speaks_tls_only"),
    ("plain HTTP for objects", 'Resource: [!GetAtt RecordsBucket.Arn, !Sub "${RecordsBucket.Arn}/*"]', "Resource: [!GetAtt RecordsBucket.Arn]", "test_it_speaks_tls_only"),
    # Alarms and logs.
    ("silence is fine", "TreatMissingData: breaching", "TreatMissingData: notBreaching", "test_silence_is_an_alarm"),
    ("silence for longer", 'SilenceSeconds: "300"', 'SilenceSeconds: "3600"', "test_silence_is_an_alarm"),
    ("failures are life", "FILL(invocations, 0) - FILL(errors, 0)", "FILL(invocations, 0)", "test_a_cycle_that_failed"),
    ("an alarm nobody hears", "AlarmActions: [!Ref AlarmTopic]\n      OKActions: [!Ref AlarmTopic]\n\n  ApiThrottles", "OKActions: [!Ref AlarmTopic]\n\n  ApiThrottles", "test_each_is_there"),
    ("no alarm for throttles", "MetricName: Throttles", "MetricName: Errors", "test_each_is_there"),
    ("seconds for milliseconds", "${MonitorTimeout} * 10)", "${MonitorTimeout} * 1000)", "test_duration_is_measured"),
    ("a topic that loses alarms", "DisplayName: LLM Monitor", "DisplayName: LLM Monitor\n      KmsMasterKeyId: alias/aws/sns", "test_the_topic_is_not_encrypted"),
    ("logs for ever", "      LogGroupName: !Sub /aws/lambda/${AWS::StackName}-api\n      RetentionInDays: !Ref LogRetentionDays", "      LogGroupName: !Sub /aws/lambda/${AWS::StackName}-api\n      RetentionInDays: 3653", "test_they_end"),
    # Athena.
    ("columns swapped", "- { Name: ttft_ms, Type: string }\n            - { Name: ttfa_ms, Type: string }", "- { Name: ttfa_ms, Type: string }\n            - { Name: ttft_ms, Type: string }", "test_the_tables_columns"),
    ("a column forgotten", "            - { Name: load_ms, Type: string }\n", "", "test_the_tables_columns"),
    ("numbers in the table", "- { Name: cost, Type: string }", "- { Name: cost, Type: double }", "test_the_tables_columns"),
    ("quotes ignored", "serde2.OpenCSVSerde", "serde2.lazy.LazySimpleSerDe", "test_its_serde_knows_quotes"),
    ("the header is a row", 'skip.header.line.count: "1"', 'skip.header.line.count: "0"', "test_its_serde_knows_quotes"),
    ("another layout", "/hour=${!hour}/", "/${!hour}/", "test_partitions_are_where"),
    ("hour=4", 'projection.hour.digits: "2"', 'projection.hour.digits: "1"', "test_partitions_are_where"),
    ("a column twice", "{ Name: env, Type: string }", "{ Name: environment, Type: string }", "test_no_partition_has"),
    ("a view that mixes up columns", "TRY_CAST(ttft_ms AS double) AS ttft_ms", "TRY_CAST(ttfa_ms AS double) AS ttft_ms", "test_the_view_selects"),
    ("a view that is no JSON", '"catalog":"awsdatacatalog",', '"catalog":"awsdatacatalog"', "test_the_view_"),
    ("every environment is read", "env AS environment,", "NULLIF(environment, '') AS environment,", "test_the_views_environment"),
    ("a query of all days", "WHERE date = CAST(current_date AS varchar) AND NOT simulated", "WHERE NOT simulated", "test_the_workgroup_stops"),
    # Parameters.
    ("a default that is refused", "    Default: simple\n", "    Default: single\n", "test_each_default"),
    ("not in the form", "Parameters: [LlmApiTimeout, ", "Parameters: [", "test_each_is_described"),
    ("a parameter without effect", "MemorySize: !Ref ApiMemory", "MemorySize: 256", "test_every_one_is_used"),
]


def failing(template: Path) -> set[str]:
    stack.TEMPLATE = template
    stack._source.cache_clear()
    stack._translated.cache_clear()
    loader = unittest.TestLoader()
    tests = loader.discover(str(Path(__file__).parent), pattern="test_[!l]*.py")
    result = unittest.TextTestRunner(stream=io.StringIO()).run(tests)
    # Subtests are one test.
    return {str(test).split(" [")[0].split(" (")[0] for test, _ in result.failures + result.errors}


def lint_findings(template: Path) -> str:
    import test_lint

    return test_lint.lint(template)


def main() -> int:
    logging.disable(logging.WARNING)  # The translator's own: of metrics that nobody gathers here.
    whole = stack.TEMPLATE.read_text(encoding="utf-8")
    assert not failing(stack.TEMPLATE), "mend the template first"
    noticed = unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        broken = Path(folder, "template.yaml")
        for what, old, new, test in MUTATIONS:
            assert old in whole, f"{what}: the template no longer has {old!r}"
            broken.write_text(whole.replace(old, new), encoding="utf-8")
            if test == "test_lint":
                seen = bool(lint_findings(broken))
            else:
                failed = failing(broken)
                # All of them fail where the template does not even translate: that says nothing of the one.
                assert len(failed) < 15, f"{what}: breaks the template as a whole: {sorted(failed)[:5]}"
                seen = any(test in name for name in failed)
            noticed += seen
            unnoticed += not seen
            if not seen:
                print(f"not noticed by {test}: {what}", file=sys.stderr)
    print(f"mutations: {noticed} passed, {unnoticed} failed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
