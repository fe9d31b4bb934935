//! `llm-monitor backup`.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use llm_monitor_core::{
    record::Environment,
    settings::{Settings, StoreSettings, Vars},
    store::{Scope, Store, StoreError},
};

use super::{
    destination::{Destination, End},
    objects, rest, rows,
    state::State,
};
use crate::{
    output::{bytes, say},
    wiring::{self, StartError},
};

/// How often the source is listed anew because it changed while it was read; what is copied and did not change is not read again.
const ATTEMPTS: u32 = 16;
/// What one append may take, retries included: nobody waits for it as for a cycle's.
const APPEND_BUDGET: Duration = Duration::from_secs(600);

const EXAMPLES: &str = "\
Copies records, what usage endpoints said, and catalogs, from the store that the settings name; `serve` may go on meanwhile. \
Of every cycle the copy holds all of an environment's rows or none. Running it again copies what is new. The copy is a store \
itself: the last line says the settings that serve it, and `llm-monitor verify DEST` reads it. A bucket is reached by the same \
AWS variables as the store's.

Exit code: 0 all is copied, 1 rows that cannot be read are not in the copy, 2 could not be done.

Examples:
  llm-monitor backup /backup/llm-monitor
  llm-monitor backup s3://my-backups/llm-monitor
  LATENCY_DATA_CSV=/backup/llm-monitor/latency_data.csv llm-monitor serve     serve the copy";

/// Copy everything to a folder or a bucket, as a store that can be served
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A folder, or s3://bucket/prefix
    #[arg(value_name = "DEST")]
    destination: Destination,
}

pub(crate) async fn run(vars: &Vars, args: &Args) -> Result<ExitCode, StartError> {
    let settings = wiring::settings(vars)?;
    // First: a source that is not there must not leave an empty copy.
    let mut from = End::source(&settings).await?;
    let to = End::destination(&args.destination, &settings, vars).await?;
    to.store().set_append_budget(APPEND_BUDGET);
    let mut attempt = 1;
    let mut copied = rows::Copied::default();
    loop {
        match copy(&from, &to, &settings, &mut copied).await {
            Err(error) if attempt < ATTEMPTS && is_changed(&error) => {
                attempt += 1;
                from = End::source(&settings).await?;
            }
            done => break done?,
        }
    }
    say(format!("The copy is served with {}", to.location(&args.destination)));
    Ok(ExitCode::from(u8::from(copied.unreadable() > 0)))
}

fn is_changed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Changed { .. }))
}

/// `copied` is what earlier attempts did.
async fn copy(from: &End, to: &End, settings: &Settings, copied: &mut rows::Copied) -> Result<()> {
    let loaded = State::load(to, &source_name(settings)).await?;
    let mut state = loaded.clone();
    if let (End::Bucket(from), End::Bucket(to)) = (from, to) {
        let copied = objects::copy(from, to, &mut state).await?;
        let (count, size) = (copied.objects, bytes(copied.bytes));
        say(format!("{count} objects ({size}) copied, {} the same already", copied.same));
    } else {
        rows::copy(from, to, &mut state, copied).await?;
        let (taken, there) = (copied.taken(), copied.there());
        say(format!("{taken} records copied, {there} there already, {} days unchanged and not read", copied.same_days));
        if copied.unreadable() > 0 {
            say(format!(
                "{} rows cannot be read and are not in the copy; `llm-monitor verify` names them",
                copied.unreadable()
            ));
        }
    }
    let environments = environments(from.store(), settings, copied.environments.clone()).await?;
    let rest = rest::copy(from, to, &environments, &mut state).await?;
    say(format!("{} usage reports and {} catalogs copied", rest.usage_files, rest.catalogs));
    // Last: what was copied is there also if there is no room for this.
    state.save(to, &loaded).await?;
    if !rest.refused.is_empty() {
        bail!(
            "{}; all else is copied; move what is in the copy away, or copy to another place",
            rest.refused.join("; ")
        );
    }
    Ok(())
}

fn source_name(settings: &Settings) -> String {
    match &settings.storing.store {
        StoreSettings::File { path } => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        StoreSettings::S3(options) => format!("s3://{}/{}", options.bucket, options.prefix),
    }
}

/// The settings' environments, and those of which there are records.
async fn environments(
    store: &dyn Store,
    settings: &Settings,
    of_rows: BTreeSet<Environment>,
) -> Result<BTreeSet<Environment>> {
    let mut environments = of_rows;
    environments.extend(settings.environments());
    environments.extend(store.segments(&Scope::default()).await?.into_iter().filter_map(|segment| segment.environment));
    Ok(environments)
}
