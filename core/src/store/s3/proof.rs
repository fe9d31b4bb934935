//! Whether the server honours conditional writes. Some ignore the conditions and would lose rows without a word, so it has
//! to show it on an object of its own.

use bytes::Bytes;
use tracing::debug;

use super::{
    bucket::{Bucket, Condition},
    failure::{Failed, Failure},
    layout::Keys,
    swap::Conditions,
};

/// Tries that did not tell anything, because an answer was lost or another error came between. Many: one process that took a
/// passing fault for a missing ability would write beside the others, and rows would be there twice.
const TRIES: usize = 10;

/// What the server was found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    /// How a write is tied to the object that was read; [`Conditions::None`] where that does not work.
    pub(super) conditions: Conditions,
    /// Whether a write can be tied to there being no object yet.
    pub(super) knows_new: bool,
}

impl Finding {
    const NOTHING: Self = Self { conditions: Conditions::None, knows_new: false };
}

/// Puts the server to the proof.
///
/// # Errors
/// The server could not be reached, or the scratch object could not be written at all.
pub(super) async fn prove(bucket: &Bucket, keys: &Keys) -> Result<Finding, Failure> {
    let mut last = None;
    for _ in 0..TRIES {
        let key = keys.scratch(fastrand::u64(..));
        let found = on_key(bucket, &key).await;
        if let Err(failure) = bucket.delete(&key).await {
            debug!(key, ?failure, "scratch object could not be removed");
        }
        match found {
            Ok(finding) => return Ok(finding),
            Err(Unclear::Passing(failure)) => last = Some(failure),
            Err(Unclear::Lasting(failure)) => return Err(failure),
            Err(Unclear::Contradiction) => {}
        }
    }
    // A server that says "changed" of an object that nobody else knows can't be swapped with.
    last.map_or(Ok(Finding::NOTHING), Err)
}

/// Why a try told nothing.
enum Unclear {
    Passing(Failure),
    Lasting(Failure),
    /// A condition that must hold did not.
    Contradiction,
}

/// What became of one conditional write.
enum Written {
    /// With this ETag.
    Yes(Option<String>),
    Refused,
    /// The header itself is not taken.
    NotTaken,
}

async fn on_key(bucket: &Bucket, key: &str) -> Result<Finding, Unclear> {
    let first = match put(bucket, key, "1", Condition::IsNew).await? {
        Written::Yes(etag) => etag,
        Written::Refused => return Err(Unclear::Contradiction),
        Written::NotTaken => return Ok(Finding::NOTHING),
    };
    let knows_new = matches!(put(bucket, key, "2", Condition::IsNew).await?, Written::Refused);
    let without = Finding { conditions: Conditions::None, knows_new };
    let Some(first) = first.filter(|_| knows_new) else { return Ok(without) };
    // A well-formed ETag of other content.
    let wrong = "\"00000000000000000000000000000000\"".to_owned();
    if !matches!(put(bucket, key, "3", Condition::Is(wrong)).await?, Written::Refused) {
        return Ok(without);
    }
    for (conditions, condition) in
        [(Conditions::Quoted, Condition::Is(first.clone())), (Conditions::Bare, Condition::IsBare(first.clone()))]
    {
        match put(bucket, key, "4", condition).await? {
            Written::Yes(Some(second)) if second != first => return Ok(Finding { conditions, knows_new }),
            Written::Yes(_) | Written::NotTaken => return Ok(without),
            Written::Refused => {}
        }
        // Without quotes a server may take the header for none at all: then it was the earlier refusal that told nothing.
        let wrong = Condition::IsBare("00000000000000000000000000000000".to_owned());
        if !matches!(put(bucket, key, "5", wrong).await?, Written::Refused) {
            return Err(Unclear::Contradiction);
        }
    }
    Err(Unclear::Contradiction)
}

async fn put(bucket: &Bucket, key: &str, body: &'static str, condition: Condition) -> Result<Written, Unclear> {
    match bucket.put(key, Bytes::from_static(body.as_bytes()), &condition).await {
        Ok(etag) => Ok(Written::Yes(etag)),
        Err(Failed { failure: Failure::Condition | Failure::Missing, is_unsure: false }) => Ok(Written::Refused),
        // An earlier try may have been the one that changed the object: start over with another.
        Err(Failed { failure: Failure::Condition | Failure::Missing, is_unsure: true }) => Err(Unclear::Contradiction),
        Err(Failed { failure: Failure::NotImplemented(_), .. }) => Ok(Written::NotTaken),
        Err(Failed { failure: failure @ Failure::Passing(_), .. }) => Err(Unclear::Passing(failure)),
        Err(Failed { failure, .. }) => Err(Unclear::Lasting(failure)),
    }
}
