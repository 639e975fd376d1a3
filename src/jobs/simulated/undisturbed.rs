//! Runs on which nothing goes wrong.

use super::setting::{
    a_day_passes, clean_run, invariants_hold, new_host, outcome, the_parent_is_snapshotted,
};

#[test]
fn everything_arrives_and_the_next_run_has_nothing_to_do() {
    let host = new_host();
    let first = clean_run(&host);
    assert_eq!(first.snapshots, 9);
    let after_first = host.state();
    let second = clean_run(&host);
    assert_eq!((second.snapshots, second.pruned), (0, 0));
    assert_eq!(outcome(&host.state()), outcome(&after_first));
    host.change(a_day_passes);
    let third = clean_run(&host);
    assert_eq!((third.snapshots, third.pruned), (3, 3));
    let fourth = clean_run(&host);
    assert_eq!((fourth.snapshots, fourth.pruned), (0, 0));
    host.change(the_parent_is_snapshotted);
    let fifth = clean_run(&host);
    assert_eq!(fifth.snapshots, 2);
    invariants_hold(&after_first, &after_first).unwrap();
    let state = host.state();
    assert_eq!(state.datasets["backup/eds"].snapshots.len(), 1);
    for (name, dataset) in state.datasets.iter().filter(|(name, _)| name.starts_with("rpool/nixos")) {
        let copy = &state.datasets[&name.replacen("rpool/nixos", "backup/eds", 1)];
        let of = |dataset: &crate::sim::state::Dataset| {
            dataset.snapshots.iter().map(|s| (s.guid, s.content, s.ivset)).collect::<Vec<_>>()
        };
        assert_eq!(of(dataset), of(copy), "{name}");
    }
}
