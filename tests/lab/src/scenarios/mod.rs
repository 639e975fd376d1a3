//! What is tried. A scenario's name is a sentence that is true when it passes.

mod ahead;
mod alerted;
mod archived;
mod backup;
pub(crate) mod boundaries;
mod checkup;
mod compared;
mod container;
mod contract;
mod drilled;
mod drives;
mod encased;
mod estranged;
mod failing;
mod files;
mod handover;
mod hostile;
mod increments;
mod interrupted;
mod keeping;
mod keys;
mod laboratory;
mod losses;
mod meanwhile;
mod measured;
mod mirrored;
mod notified;
mod packaged;
mod peers;
mod plugged;
mod preparing;
mod pruning;
mod pulled;
mod reading;
mod rebuilt;
mod refusals;
mod remedies;
mod rescue;
mod scrubbed;
mod session;
mod space;
mod stopped;
mod story;
mod streams;
mod structure;
mod timed;
mod unfit;
pub(crate) mod unplugged;
mod verified;

use anyhow::Result;

use crate::image::recipe::{self, Recipe};
use crate::lab::Lab;

/// When a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Always: its failing would let a user lose data or be lied to.
    Core,
    /// With `--full`.
    Full,
}

/// Something that is tried in a guest of its own.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// A sentence.
    pub name: &'static str,
    /// When it is run.
    pub tier: Tier,
    /// The systems that it is run on.
    pub systems: &'static [&'static Recipe],
    /// What is done, and what must be so.
    pub body: fn(&mut Lab) -> Result<()>,
    /// Whether guests need the package for Debian.
    pub packaged: bool,
    /// Whether guests need the zferry that needs no library.
    pub portable: bool,
}

impl Scenario {
    const fn core(name: &'static str, body: fn(&mut Lab) -> Result<()>) -> Self {
        Self { name, tier: Tier::Core, systems: &[&recipe::TRIXIE], body, packaged: false, portable: false }
    }

    const fn full(name: &'static str, body: fn(&mut Lab) -> Result<()>) -> Self {
        Self { name, tier: Tier::Full, systems: &[&recipe::TRIXIE], body, packaged: false, portable: false }
    }

    /// With the package for Debian, which takes a while to build.
    const fn packaged(self) -> Self {
        Self { packaged: true, ..self }
    }

    /// With the zferry that needs no library, see [`Lab::install_portable`].
    const fn portable(self) -> Self {
        Self { portable: true, ..self }
    }

    /// Also on the oldest system that is supported, with its own ZFS.
    const fn also_on_the_oldest(self) -> Self {
        Self { systems: recipe::ALL, ..self }
    }
}

/// Those in which something goes wrong that is nobody's mistake: what docs/reliability.md counts.
pub fn of_faults() -> Vec<Scenario> {
    [
        contract::scenarios(),
        interrupted::scenarios(),
        unplugged::scenarios(),
        pruning::scenarios(),
        boundaries::scenarios(),
        failing::scenarios(),
    ]
    .concat()
}

/// All scenarios, in the order in which they are run.
pub fn all() -> Vec<Scenario> {
    [
        laboratory::scenarios(),
        checkup::scenarios(),
        contract::scenarios(),
        backup::scenarios(),
        refusals::scenarios(),
        remedies::scenarios(),
        estranged::scenarios(),
        session::scenarios(),
        interrupted::scenarios(),
        unplugged::scenarios(),
        pruning::scenarios(),
        boundaries::scenarios(),
        failing::scenarios(),
        structure::scenarios(),
        streams::scenarios(),
        stopped::scenarios(),
        story::scenarios(),
        timed::scenarios(),
        unfit::scenarios(),
        reading::scenarios(),
        increments::scenarios(),
        peers::scenarios(),
        drives::scenarios(),
        meanwhile::scenarios(),
        keys::scenarios(),
        hostile::scenarios(),
        space::scenarios(),
        losses::scenarios(),
        rebuilt::scenarios(),
        files::scenarios(),
        handover::scenarios(),
        compared::scenarios(),
        keeping::scenarios(),
        preparing::scenarios(),
        verified::scenarios(),
        drilled::scenarios(),
        scrubbed::scenarios(),
        pulled::scenarios(),
        rescue::scenarios(),
        ahead::scenarios(),
        plugged::scenarios(),
        notified::scenarios(),
        packaged::scenarios(),
        alerted::scenarios(),
        archived::scenarios(),
        measured::scenarios(),
        mirrored::scenarios(),
        encased::scenarios(),
        container::scenarios(),
    ]
    .concat()
}
