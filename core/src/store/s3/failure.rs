//! What a failed request means, in words for a person: by status, code and typed cause.

use std::{error::Error, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{cause, store::StoreError};

/// Why a request did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The condition did not hold, or another conditional write was under way: look again.
    Condition,
    /// There is no such object.
    Missing,
    /// The server does not know the condition (or another header) that was sent.
    NotImplemented(String),
    /// May not read, or not know whether there is something to read.
    Denied(String),
    /// May pass by itself.
    Passing(String),
    /// An object holds more than may be read.
    TooLarge { size_bytes: u64, at_most_bytes: u64 },
    /// The server has no room.
    Full,
    /// A person has to mend it.
    Lasting(String),
}

impl Failure {
    /// The same for those who called the store; `location` is the bucket or the key.
    pub(super) fn into_error(self, location: &str) -> StoreError {
        let location = location.to_owned();
        match self {
            Self::Condition => {
                let problem = "other writers kept changing it; try again".to_owned();
                StoreError::Unavailable { location, problem }
            }
            Self::Passing(problem) => StoreError::Unavailable { location, problem },
            Self::Full => StoreError::Full { location },
            Self::TooLarge { size_bytes, at_most_bytes } => {
                StoreError::TooLarge { location, size_bytes, at_most_bytes }
            }
            Self::Missing => StoreError::Unusable { location, problem: "there is no such object".to_owned() },
            Self::NotImplemented(problem) | Self::Denied(problem) | Self::Lasting(problem) => {
                StoreError::Unusable { location, problem }
            }
        }
    }
}

/// A failed request.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// The server may have done what was asked all the same: the answer was lost on the way.
    pub(super) is_unsure: bool,
}

/// What is said of the server in messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    /// Where it is, without credentials.
    pub(super) address: String,
    /// Where we believe the bucket to be.
    pub(super) region: String,
    /// How long one try may take.
    pub(super) patience: Duration,
}

/// The meaning of `error`.
pub(super) fn meaning<E>(error: &SdkError<E, HttpResponse>, server: &Server) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => no_answer(server),
        SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
            Some(connector) => unreachable(connector, connector.is_timeout(), server),
            None => unreachable(error, dispatch.is_timeout(), server),
        },
        SdkError::ConstructionFailure(_) => cause_of_credentials(error)
            .unwrap_or_else(|| Failure::Lasting(format!("the request could not be made: {}", root_cause(error)))),
        SdkError::ResponseError(response) => by_status(response.raw(), None, server),
        SdkError::ServiceError(service) => by_status(service.raw(), service.err().code(), server),
        _ => Failure::Passing(root_cause(error)),
    }
}

fn no_answer(server: &Server) -> Failure {
    Failure::Passing(format!("no answer from {} within {} s", server.address, server.patience.as_secs_f32()))
}

fn unreachable(error: &(dyn Error + 'static), is_timeout: bool, server: &Server) -> Failure {
    if is_timeout {
        return no_answer(server);
    }
    cause_of_credentials(error)
        .unwrap_or_else(|| Failure::Passing(format!("{} cannot be reached: {}", server.address, root_cause(error))))
}

/// Credentials are looked up when a request is sent, so their failures come as failures to send.
fn cause_of_credentials(error: &(dyn Error + 'static)) -> Option<Failure> {
    let cause = cause::chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    Some(match cause {
        CredentialsError::CredentialsNotLoaded(_) => Failure::Lasting(
            "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give this \
             machine or function a role"
                .to_owned(),
        ),
        CredentialsError::InvalidConfiguration(_) => {
            Failure::Lasting(format!("the credentials' configuration is unusable: {}", root_cause(cause)))
        }
        _ => Failure::Passing(format!("the credentials could not be fetched: {}", root_cause(cause))),
    })
}

fn by_status(response: &HttpResponse, code: Option<&str>, server: &Server) -> Failure {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(printable);
    let code = code.map(printable).unwrap_or_default();
    if let Some(failure) = by_code(&code, header("date")) {
        return failure;
    }
    let answer = if code.is_empty() { format!("status {status}") } else { format!("status {status}, {code}") };
    let their_region = header("x-amz-bucket-region").filter(|region| *region != server.region);
    match status {
        _ if ["PermanentRedirect", "AuthorizationHeaderMalformed"].contains(&&*code) => {
            wrong_region(their_region.as_deref(), server)
        }
        301 => wrong_region(their_region.as_deref(), server),
        400 if their_region.is_some() => wrong_region(their_region.as_deref(), server),
        404 => Failure::Missing,
        409 | 412 => Failure::Condition,
        401 | 403 => Failure::Denied(format!("access is denied ({answer})")),
        501 => Failure::NotImplemented(format!("the server does not implement what was asked ({answer})")),
        507 => Failure::Full,
        307 | 408 | 425 | 429 | 500..=599 => Failure::Passing(format!("the server is not able to answer ({answer})")),
        200..=299 => Failure::Passing(format!("the answer could not be understood ({answer})")),
        _ => Failure::Lasting(format!("the server refused the request ({answer})")),
    }
}

/// The codes that say more than their status.
fn by_code(code: &str, server_time: Option<String>) -> Option<Failure> {
    let lasting = |problem: &str| Some(Failure::Lasting(problem.to_owned()));
    match code {
        "NoSuchKey" | "NotFound" => Some(Failure::Missing),
        "NoSuchBucket" => lasting("there is no such bucket; create it, or set RECORDS_BUCKET to one that is there"),
        "InvalidBucketName" => lasting("that is no valid bucket name; check RECORDS_BUCKET"),
        "AccessDenied" | "AllAccessDisabled" => Some(Failure::Denied(format!(
            "access is denied ({code}); the credentials need s3:ListBucket on the bucket, s3:GetObject and s3:PutObject \
             in it, and s3:DeleteObject on scratch/*"
        ))),
        "InvalidAccessKeyId" => lasting("the server does not know the access key; check AWS_ACCESS_KEY_ID"),
        "SignatureDoesNotMatch" => lasting("the signature is wrong; check AWS_SECRET_ACCESS_KEY"),
        "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired" => {
            lasting("the session token has expired or is not valid; renew the credentials (AWS_SESSION_TOKEN)")
        }
        "RequestTimeTooSkewed" | "RequestExpired" => {
            let theirs = server_time.map(|time| format!(": the server says it is {time}")).unwrap_or_default();
            Some(Failure::Lasting(format!("this machine's clock is too far off{theirs}; set the clock")))
        }
        "XMinioStorageFull" | "InsufficientStorage" => Some(Failure::Full),
        "NotImplemented" => {
            Some(Failure::NotImplemented(format!("the server does not implement what was asked ({code})")))
        }
        code if code.starts_with("KMS.") || code.starts_with("Kms") => Some(Failure::Lasting(format!(
            "the encryption key cannot be used ({code}); check RECORDS_KMS_KEY_ID and the key's policy"
        ))),
        _ => None,
    }
}

fn wrong_region(theirs: Option<&str>, server: &Server) -> Failure {
    let ours = &server.region;
    Failure::Lasting(match theirs {
        Some(theirs) => format!("the bucket is in region {theirs}, not in {ours}; set AWS_REGION={theirs}"),
        None => format!("the bucket is not in region {ours}; set AWS_REGION to its region"),
    })
}

/// What a server says in a code or a header, cut to what is fit for a message.
fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect()
}

/// The innermost cause, fit for a message. None of the causes holds a secret: requests are never part of them.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let text = cause::innermost(error).to_string();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
