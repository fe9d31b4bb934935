use super::{SettingsError, Vars, urls::http_url, vars::Source};
use crate::aws::{AwsAccess, AwsKeys};

/// How to reach one of AWS's services by `vars`; `endpoint` is the variable that names a server for this service alone
/// (`AWS_ENDPOINT_URL_SSM`).
///
/// # Errors
/// Every unusable variable.
pub fn aws_access(vars: &Vars, endpoint: &str) -> Result<AwsAccess, SettingsError> {
    let mut source = Source::new(vars);
    let access = access(&mut source, endpoint);
    let problems = source.into_problems();
    if problems.is_empty() { Ok(access) } else { Err(SettingsError(problems)) }
}

/// The SDK reads the process's variables by itself; those of a `.env` file it would never see.
pub(super) fn access(source: &mut Source<'_>, endpoint: &str) -> AwsAccess {
    let text = |source: &Source<'_>, name: &str| source.get(name).map(str::to_owned);
    AwsAccess {
        endpoint: http_url(source, endpoint).or_else(|| http_url(source, "AWS_ENDPOINT_URL")),
        region: text(source, "AWS_REGION").or_else(|| text(source, "AWS_DEFAULT_REGION")),
        profile: text(source, "AWS_PROFILE"),
        keys: keys(source),
    }
}

fn keys(source: &mut Source<'_>) -> Option<AwsKeys> {
    let id = source.get("AWS_ACCESS_KEY_ID").map(str::to_owned);
    let secret = source.secret("AWS_SECRET_ACCESS_KEY");
    match (id, secret) {
        (Some(id), Some(secret)) => Some(AwsKeys { id, secret, session_token: source.secret("AWS_SESSION_TOKEN") }),
        (Some(_), None) => {
            source.refuse("AWS_SECRET_ACCESS_KEY", None, "the secret that belongs to AWS_ACCESS_KEY_ID");
            None
        }
        (None, Some(_)) => {
            source.refuse("AWS_ACCESS_KEY_ID", None, "the id that belongs to AWS_SECRET_ACCESS_KEY");
            None
        }
        (None, None) => None,
    }
}
