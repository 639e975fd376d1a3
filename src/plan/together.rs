//! Which streams may run at the same time. Small ones mostly wait, for processes and for transaction groups, which many
//! of them can share; a large one has the drive to itself, so that its blocks stay together.

use super::{SendStep, Step};
use crate::model::Bytes;

/// Up to this estimate a stream is small: it fits in one transaction group.
const SMALL: Bytes = Bytes(16 << 20);

/// One turn of the sending phase.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<'a> {
    /// A step that is not a stream.
    Step(&'a (usize, Step)),
    /// Datasets whose streams may run side by side; those of one dataset follow each other.
    Streams(Vec<&'a [(usize, Step)]>),
}

/// Puts the steps of the sending phase, parents before children, into turns: what a turn needs was done in the turns
/// before it.
pub fn turns(steps: &[(usize, Step)]) -> Vec<Turn<'_>> {
    let is_stream = |step: &Step| matches!(step, Step::Send(_));
    let mut turns = Vec::new();
    for run in steps.chunk_by(|a, b| a.0 == b.0 && is_stream(&a.1) && is_stream(&b.1)) {
        match (run, turns.last_mut()) {
            ([other], _) if !is_stream(&other.1) => turns.push(Turn::Step(other)),
            (_, Some(Turn::Streams(members))) if members.iter().all(|member| fit_together(member, run)) => {
                members.push(run);
            }
            _ => turns.push(Turn::Streams(vec![run])),
        }
    }
    turns
}

fn fit_together(first: &[(usize, Step)], second: &[(usize, Step)]) -> bool {
    sends(first).chain(sends(second)).all(|send| send.estimate <= SMALL) && !makes_parent(first, second)
}

fn sends(steps: &[(usize, Step)]) -> impl Iterator<Item = &SendStep> {
    steps.iter().filter_map(|(_, step)| if let Step::Send(send) = step { Some(send) } else { None })
}

/// Whether the second one is received below what the first one makes.
fn makes_parent(first: &[(usize, Step)], second: &[(usize, Step)]) -> bool {
    let made = sends(first).find(|send| send.creation.is_some());
    made.is_some_and(|made| sends(second).any(|send| send.into.below(&made.into).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Phase;
    use crate::plan::testing::{World, policy};

    /// The targets of each turn: `[a b]` side by side, `(c)` a step that is no stream.
    fn show(world: &World) -> String {
        let plan = world.plan(&[policy()]);
        let steps: Vec<_> = plan.phase(Phase::Send).map(|(index, step)| (index, step.clone())).collect();
        let target =
            |index: usize| plan.datasets[index].target.as_str().rsplit('/').next().unwrap().to_owned();
        let turn = |turn: &Turn<'_>| match turn {
            Turn::Step((index, _)) => format!("({})", target(*index)),
            Turn::Streams(chains) => {
                let names: Vec<_> =
                    chains.iter().map(|chain| format!("{}{}", target(chain[0].0), chain.len())).collect();
                format!("[{}]", names.join(" "))
            }
        };
        turns(&steps).iter().map(turn).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_received_first_waits_for_its_parent_and_siblings_go_together() {
        let world = World::new()
            .source("tank/data", "@a,1 @b,2")
            .source("tank/data/x", "@a,11")
            .source("tank/data/y", "@a,21")
            .source("tank/data/x/deep", "@a,31");
        assert_eq!(show(&world), "[eds2] [x1 y1] [deep1]");
    }

    #[test]
    fn increments_of_parents_and_children_go_together() {
        let world = World::new()
            .source("tank/data", "@a,1 @b,2")
            .source("tank/data/x", "@a,11 @b,12")
            .source("tank/data/new", "@a,21")
            .target("backup/eds", "@a,1")
            .target("backup/eds/x", "@a,11");
        assert_eq!(show(&world), "[eds1 new1 x1]");
    }

    #[test]
    fn a_parent_that_is_made_comes_before_everything_below_it() {
        let world = World::new()
            .source("tank/data", "")
            .source("tank/data/x", "@a,11")
            .source("tank/data/y", "")
            .source("tank/data/y/deep", "@a,31");
        assert_eq!(show(&world), "(eds) [x1] (y) [deep1]");
    }

    #[test]
    fn a_large_stream_runs_alone() {
        let large = |dataset: &mut crate::model::Dataset| {
            for detail in dataset.details.values_mut() {
                (detail.written, detail.referenced) = (Bytes(17 << 20), Bytes(17 << 20));
            }
        };
        let world = World::new()
            .source("tank/data", "@a,1 @b,2")
            .source("tank/data/x", "@a,11 @b,12")
            .source("tank/data/y", "@a,21 @b,22")
            .source("tank/data/z", "@a,41 @b,42")
            .target("backup/eds", "@a,1")
            .target("backup/eds/x", "@a,11")
            .target("backup/eds/y", "@a,21")
            .target("backup/eds/z", "@a,41")
            .edit_source("tank/data/y", large);
        assert_eq!(show(&world), "[eds1 x1] [y1] [z1]");
    }
}
