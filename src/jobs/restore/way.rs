//! What is done before a restore is planned that is not of the whole history as it lies on the drive.

use std::collections::BTreeMap;

use crate::config::request::{Form, RestoreRequest};
use crate::event::Event;
use crate::execute::files::Keyring;
use crate::execute::session::Session;
use crate::model::{Inventory, Policy, PoolFacts, PoolName, SendMode};
use crate::plan::files::{Dated, Wanted};
use crate::plan::restore::way::{self, Becomes, Choice};

use super::super::drive_run::not_listed;
use super::super::files::{FilesError, datasets, go_on, unlock};
use super::super::{Environment, JobError};

/// What was settled about the way back.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// One snapshot of each dataset; none: all of them.
    pub(super) choice: Option<Choice>,
    /// What becomes of what is decrypted; none: nothing is.
    pub(super) becomes: Option<Becomes>,
}

/// Loads the keys of the copies, for as long as the drive is imported.
pub(super) fn unlock_copies(
    request: &RestoreRequest,
    env: &Environment<'_>,
    session: &Session,
    keys: &mut Keyring<'_>,
) -> Result<(), JobError> {
    if request.form == Form::Raw {
        return Ok(());
    }
    let (side, backup) = (datasets(env, &request.drive, session)?, &request.backup);
    for copy in side.tree(&backup.target).filter(|copy| copy.name == backup.target || backup.recursive) {
        go_on(env, &request.drive)?;
        unlock(env, keys, &side, copy)?;
    }
    Ok(())
}

/// Makes of what is there what is planned with.
pub(super) fn settle(
    request: &RestoreRequest,
    env: &Environment<'_>,
    policy: &Policy,
    inventory: &mut Inventory,
) -> Result<Way, JobError> {
    way::set_others_aside(policy, inventory);
    let mut settled = Way::default();
    if let Some(from) = &request.from {
        let choice = choose(from, env, policy, inventory)?;
        choice.only(policy, inventory);
        settled.choice = Some(choice);
    }
    if let Form::Decrypted { allow_plaintext } = request.form {
        let was_decrypted = request.backup.send == SendMode::Plain;
        settled.becomes = Some(way::decrypt(policy, inventory, was_decrypted, allow_plaintext)?);
    }
    Ok(settled)
}

fn choose(
    from: &str,
    env: &Environment<'_>,
    policy: &Policy,
    inventory: &Inventory,
) -> Result<Choice, JobError> {
    let mut dated = BTreeMap::new();
    for copy in way::copies(policy, inventory) {
        let listed = env.client().dated(&copy.name);
        let listed = listed.map_err(|source| FilesError::NotListed { dataset: copy.name.clone(), source })?;
        let listed = listed.into_iter().map(|(name, at)| Dated { name: name.snap, at });
        dated.insert(copy.name.clone(), listed.collect());
    }
    let wanted = Wanted::AsOf(from.to_owned());
    let choice = way::choose(policy, inventory, &wanted, &dated, &env.now()).map_err(FilesError::Unclear)?;
    for without in &choice.without {
        let text = format!("{without} has no snapshot of then, and does not come back.");
        env.sink.event(Event::Warning { text });
    }
    Ok(choice)
}

/// Warns when runs may not go on from what was restored.
pub(super) fn warn_of_large_blocks(
    env: &Environment<'_>,
    policy: &Policy,
    session: &Session,
) -> Result<(), JobError> {
    let (here, there) = (policy.target.pool(), &session.pool);
    let properties = env.client().pool_properties([&here, there]).map_err(not_listed)?;
    let facts = |pool: &PoolName, guid| {
        PoolFacts::read(pool.clone(), guid, properties.get(pool).into_iter().flatten())
    };
    if let Some(text) = way::large_blocks(policy, &facts(there, session.guid), &facts(&here, policy.drive)) {
        env.sink.event(Event::Warning { text });
    }
    Ok(())
}

/// What is to be known of what was restored, besides how to use it.
pub(super) fn remark(request: &RestoreRequest, way: &Way) -> String {
    let mut text = String::new();
    match &way.becomes {
        Some(Becomes::Encrypted { root }) => {
            text.push_str(&format!("\nIt is encrypted with the key of {root} now."));
        }
        Some(Becomes::Readable) => text.push_str("\nIt is not encrypted."),
        None => {}
    }
    if way.becomes.is_some() && request.backup.send == SendMode::Raw {
        text.push_str(&format!(
            "\nRuns cannot go on from it to {}, whose copy has another key. As a source, give it a target of its own.",
            request.backup.target
        ));
    } else if way.choice.is_some() {
        text.push_str(&format!(
            "\nIt has no history before and after that. As a source, give it a target of its own: {} keeps what it has.",
            request.backup.target
        ));
    }
    text
}
