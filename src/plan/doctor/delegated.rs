//! What others than root may do to the sources. A run is root's, and needs none of it.

use crate::process::{printable, quoted};
use crate::zfs::parse::Delegation;

use super::Finding;

/// With any of these, whoever has it can take away what the next increment goes on from, or put something else there. A set may
/// have them.
const TAKES_AWAY: [&str; 7] =
    ["destroy", "rollback", "rename", "promote", "receive", "release", "change-key"];

/// Those who can do harm to what is backed up. It may be meant; each is told of once.
pub fn hints_of_delegations(all: &[Delegation]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for Delegation { on, who, permissions } in all {
        let is_harmful =
            |permission: &&String| TAKES_AWAY.contains(&permission.as_str()) || permission.starts_with('@');
        let harmful: Vec<&str> = permissions.iter().filter(is_harmful).map(String::as_str).collect();
        if harmful.is_empty() {
            continue;
        }
        let harmful = harmful.join(",");
        let what = format!(
            "The {} may do this to it (`zfs allow`): {}. Runs of zferry are root's and need none of that; whoever has it can destroy what the next backup goes on from. What is on a drive is not reached by it.",
            printable(&person(who)),
            printable(&harmful.replace(',', ", "))
        );
        let typed = format!("zfs unallow {} {} {}", option(who), quoted(&harmful), quoted(on));
        let finding =
            Finding { about: on.clone(), what, remedies: vec![format!("if nothing needs it: {typed}")] };
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found
}

/// For a sentence that begins with "The".
fn person(who: &str) -> String {
    if who == "everyone" { "users of this computer, all of them,".to_owned() } else { who.to_owned() }
}

/// As `zfs unallow` takes it.
fn option(who: &str) -> String {
    match who.split_once(' ') {
        Some(("user", name)) => format!("-u {}", quoted(name)),
        Some(("group", name)) => format!("-g {}", quoted(name)),
        _ => "-e".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delegation(who: &str, permissions: &[&str]) -> Delegation {
        let permissions = permissions.iter().map(|&permission| permission.to_owned()).collect();
        Delegation { on: "rpool/home".to_owned(), who: who.to_owned(), permissions }
    }

    #[test]
    fn only_what_takes_something_away_is_told_with_the_command_that_ends_it() {
        let all = [
            delegation("user anna", &["mount", "snapshot", "send", "hold"]),
            delegation("user syncoid", &["destroy", "send", "rollback"]),
            delegation("user syncoid", &["destroy", "send", "rollback"]),
            delegation("everyone", &["@all"]),
        ];
        let found = hints_of_delegations(&all);
        let remedies: Vec<_> = found.iter().flat_map(|finding| finding.remedies.clone()).collect();
        assert_eq!(
            remedies,
            [
                "if nothing needs it: zfs unallow -u syncoid destroy,rollback rpool/home",
                "if nothing needs it: zfs unallow -e @all rpool/home",
            ]
        );
        assert!(
            found[0]
                .what
                .starts_with("The user syncoid may do this to it (`zfs allow`): destroy, rollback. ")
        );
        assert!(found[1].what.starts_with("The users of this computer, all of them, may do this"));
    }
}
