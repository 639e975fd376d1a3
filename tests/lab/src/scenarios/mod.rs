//! What is tried. A scenario's name is a sentence that is true when it passes.

mod backup;
mod drives;
mod increments;
mod laboratory;
mod losses;
mod peers;
mod reading;
mod refusals;
mod session;
mod space;
mod structure;

use anyhow::Result;

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
    /// What is done, and what must be so.
    pub body: fn(&mut Lab) -> Result<()>,
}

impl Scenario {
    const fn core(name: &'static str, body: fn(&mut Lab) -> Result<()>) -> Self {
        Self { name, tier: Tier::Core, body }
    }

    const fn full(name: &'static str, body: fn(&mut Lab) -> Result<()>) -> Self {
        Self { name, tier: Tier::Full, body }
    }
}

/// All scenarios, in the order in which they are run.
pub fn all() -> Vec<Scenario> {
    [
        laboratory::scenarios(),
        backup::scenarios(),
        refusals::scenarios(),
        session::scenarios(),
        structure::scenarios(),
        reading::scenarios(),
        increments::scenarios(),
        peers::scenarios(),
        drives::scenarios(),
        space::scenarios(),
        losses::scenarios(),
    ]
    .concat()
}
