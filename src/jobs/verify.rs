//! `verify`: the whole drive is read, and what is on it compared with what the sources can continue.

use crate::config::Drive;
use crate::config::request::VerifyRequest;
use crate::event::Event;
use crate::execute::session::Session;
use crate::model::{Consents, Inventory};
use crate::plan::{Link, links, some_of};
use crate::report::text::count;
use crate::zfs::argv::Access;

use super::checked::{Visit, checked};
use super::drive_run::not_listed;
use super::remembered::{metrics, save};
use super::scrubbing::{Came, scrub};
use super::{DriveResult, Environment, JobError};

/// Scrubs the drive and looks whether it can be continued. What is wrong is counted in `failed`.
///
/// # Errors
/// When the drive cannot be used, or was not scrubbed to the end.
pub fn verify(request: &VerifyRequest, env: &Environment<'_>) -> DriveResult {
    let visit =
        Visit { drive: &request.drive, access: Access::ReadWrite, wait: request.wait, retry: &request.retry };
    checked(&visit, env, |env, session, _| work(request, env, session))
}

/// How much is wrong.
fn work(request: &VerifyRequest, env: &Environment<'_>, session: &Session) -> Result<usize, JobError> {
    let name = request.drive.name.as_str();
    let (broken, _) = chains(&request.drive, env, session)?;
    let text = format!(
        "Scrubbing {name}: all of it is read. Ctrl-C pauses that, and the next `{}` goes on.",
        request.retry
    );
    env.sink.event(Event::Note { text });
    match scrub(env, session)? {
        Came::Finished(found) => {
            found.tell(env, name, session.pool.as_str());
            remember(request, env, &found);
            Ok(broken + usize::from(found.is_damage()))
        }
        Came::Paused => {
            let text = format!(
                "The scrub of {name} is paused, so that it is not known yet whether the drive is sound. `{}` goes on from there.",
                request.retry
            );
            env.sink.event(Event::Warning { text });
            Ok(broken + 1)
        }
    }
}

fn remember(request: &VerifyRequest, env: &Environment<'_>, found: &super::scrubbing::Found) {
    let drive = &request.drive;
    let mut state = env.store.load(drive.name.as_str(), drive.guid).state;
    state.last_scrub = Some(found.record);
    save(env, &state, metrics(drive));
}

/// Whether the next increment of each copy is possible. Says how many are not, and what was seen.
pub(super) fn chains(
    drive: &Drive,
    env: &Environment<'_>,
    session: &Session,
) -> Result<(usize, Inventory), JobError> {
    let client = env.client();
    let policies = drive.policies(&Consents::default());
    let seen = crate::observe::observe(&client, &policies, &session.facts, &session.imported);
    let inventory = seen.map_err(not_listed)?;
    let links = links(&policies, &inventory);
    let of = |wanted: Link| -> Vec<&str> {
        links.iter().filter(|(_, link)| *link == wanted).map(|(copy, _)| copy.as_str()).collect()
    };
    let (safe, unprotected, broken) = (of(Link::Safe), of(Link::Unprotected), of(Link::Broken));
    let text = match links.len() {
        0 => "No copy on the drive could be compared with its source.".to_owned(),
        all => format!(
            "{} of {} on the drive can be continued by the next run.",
            safe.len() + unprotected.len(),
            count(all, "copy").replace("copys", "copies")
        ),
    };
    env.sink.event(Event::Note { text });
    if !unprotected.is_empty() {
        let text = format!(
            "The source has no bookmark of what the drive has newest of {}. Run before the source prunes that snapshot: `zferry run {}`.",
            some_of(&unprotected),
            drive.name
        );
        env.sink.event(Event::Warning { text });
    }
    if !broken.is_empty() {
        let text = format!(
            "What the drive has newest of {} is gone from the source, and so is its bookmark: it cannot be continued. `zferry plan {}` says what can be done.",
            some_of(&broken),
            drive.name
        );
        env.sink.event(Event::Warning { text });
    }
    Ok((broken.len(), inventory))
}
