//! Versions of ZFS and what is known to be wrong with them, as data (facts: zfs.md 6). Pure.
//!
//! Only faults that touch what zferry does are here: raw sends and receives, bookmarks, what a copy is worth later. What
//! zferry rules out by itself (a dataset whose key was changed on the drive, volumes that keep an export waiting, a
//! forged token) is not.

use std::fmt;
use std::str::FromStr;

/// What `zfs version` and the kernel say, as they say it; nothing where that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Of the commands: `2.1.11-1+deb12u1`.
    pub tools: Option<String>,
    /// Of the kernel module.
    pub module: Option<String>,
}

/// A release: 2.1.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32, u32);

impl Release {
    fn series(self) -> (u32, u32) {
        (self.0, self.1)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A release and what its packager put behind it: `1`, `1+deb12u1`, `rc4`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    release: Release,
    revision: String,
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (release, revision) = text.trim().split_once(['-', '_']).unwrap_or((text.trim(), ""));
        let mut numbers = release.split('.').map(|number| number.parse::<u32>().ok());
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Some(a)), Some(Some(b)), Some(Some(c)), None) => {
                Ok(Self { release: Release(a, b, c), revision: revision.to_owned() })
            }
            _ => Err(()),
        }
    }
}

impl Version {
    /// As OpenZFS released it. A packager's own revision may have mended what the release has not.
    fn is_plain(&self) -> bool {
        self.revision.chars().all(|c| c.is_ascii_digit())
    }
}

/// Whom a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concerns {
    /// Every run.
    Everybody,
    /// Who sends encrypted datasets decrypted.
    PlainSends,
}

/// A known fault.
struct Fault {
    /// The first release that has it.
    since: Release,
    /// The first release of each series that does not, oldest first. A series that is not named and older than the
    /// last one that is, has it to its end.
    mended: &'static [Release],
    /// Packages that have it no more although their release does: release and the beginning of the revision.
    patched: &'static [(Release, &'static str)],
    /// Releases that nothing should be backed up with: the first of them, and the first after them.
    refused: Option<(Release, Release)>,
    concerns: Concerns,
    /// What happens, to follow "it is known that".
    what: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        since: Release(0, 0, 0),
        mended: &[Release(2, 0, 0)],
        patched: &[],
        refused: Some((Release(0, 0, 0), Release(2, 0, 0))),
        concerns: Concerns::Everybody,
        what: "an increment can arrive with files full of zeros (OpenZFS issue 6224)",
    },
    Fault {
        since: Release(0, 0, 0),
        // 2.0 ended without a release that has the repair.
        mended: &[Release(2, 1, 14), Release(2, 2, 2)],
        // Debian 12 since November 2024 (CVE-2023-49298), and its source says so too.
        patched: &[(Release(2, 1, 11), "1+deb12u")],
        refused: Some((Release(2, 2, 0), Release(2, 2, 2))),
        concerns: Concerns::Everybody,
        what: "files that are copied can come out with zeros in them, on the source, and so in every backup (issue 15526)",
    },
    Fault {
        since: Release(0, 0, 0),
        mended: &[Release(2, 1, 13), Release(2, 2, 0)],
        patched: &[],
        refused: None,
        concerns: Concerns::Everybody,
        what: "receiving a raw increment can crash the computer (issues 11893 and 15039)",
    },
    Fault {
        since: Release(2, 1, 5),
        mended: &[Release(2, 1, 7)],
        patched: &[],
        refused: None,
        concerns: Concerns::Everybody,
        what: "a raw copy may not be unlocked again (issue 13709)",
    },
    Fault {
        since: Release(0, 0, 0),
        mended: &[Release(2, 1, 3)],
        patched: &[],
        refused: None,
        concerns: Concerns::Everybody,
        what: "a copy that is sent back raw may not be readable (issue 12594)",
    },
    Fault {
        since: Release(2, 2, 0),
        mended: &[Release(2, 2, 3)],
        patched: &[],
        refused: None,
        concerns: Concerns::Everybody,
        what: "sending an encrypted dataset can crash the computer (issue 15275)",
    },
    Fault {
        since: Release(2, 0, 0),
        mended: &[Release(2, 2, 8), Release(2, 3, 3), Release(2, 4, 0)],
        // Debian's 2.3.2-2, and what is rebuilt from it.
        patched: &[(Release(2, 3, 2), "2")],
        refused: None,
        concerns: Concerns::PlainSends,
        what: "sending an encrypted dataset decrypted can make its snapshots unreadable until the pool is imported again (issue 12014)",
    },
];

/// The oldest release that zferry is tried with.
const OLDEST: Release = Release(2, 1, 0);

impl Fault {
    fn is_in(&self, version: &Version) -> bool {
        let release = version.release;
        let patched =
            |(of, revision): &(Release, &str)| release == *of && version.revision.starts_with(revision);
        release >= self.since && self.mended_for(release).is_some() && !self.patched.iter().any(patched)
    }

    /// The release to go to from one that has it; none: it has it not.
    fn mended_for(&self, release: Release) -> Option<Release> {
        let same = self.mended.iter().find(|mended| mended.series() == release.series());
        let later = self.mended.iter().find(|mended| mended.series() > release.series());
        same.or(later).copied().filter(|&mended| release < mended)
    }

    /// A packager may have mended one of the supported releases: that is told, and not refused.
    fn forbids(&self, version: &Version) -> bool {
        let release = version.release;
        let refused = self.refused.is_some_and(|(from, to)| (from..to).contains(&release));
        refused && (version.is_plain() || release < OLDEST) && self.is_in(version)
    }
}

fn module(versions: &Versions) -> Option<Version> {
    versions.module.as_ref()?.parse().ok()
}

/// Why nothing is backed up with this ZFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is known of it: a sentence without a full stop.
    pub finding: String,
    /// What the user can do.
    pub remedy: String,
}

/// Whether nothing may be backed up with this ZFS: to be known before a drive is touched.
pub fn refusal(versions: &Versions) -> Option<Refusal> {
    let version = module(versions)?;
    let release = version.release;
    let fault = FAULTS.iter().find(|fault| fault.forbids(&version))?;
    let mended = fault.mended_for(release).unwrap_or(OLDEST).max(OLDEST);
    let finding = format!("with ZFS {release} {}; nothing is backed up with it", fault.what);
    Some(Refusal { finding, remedy: format!("upgrade ZFS to {mended} or later, and restart the computer") })
}

/// What the user should know of this ZFS, one sentence each, told once per run. `plain`: an encrypted dataset is to be
/// sent decrypted.
pub fn advice(versions: &Versions, plain: bool) -> Vec<String> {
    let mut advice = Vec::new();
    let Some(told) = &versions.module else { return advice };
    let Some(version) = module(versions) else {
        let told = crate::process::printable(told);
        advice.push(format!("ZFS says that its version is “{told}”, of which no known faults can be told."));
        return advice;
    };
    advice.extend(known_faults(told, &version, plain));
    if version.release < OLDEST {
        advice.push(format!("ZFS {told} is older than what zferry is tried with ({OLDEST})."));
    }
    let tools = versions.tools.as_ref().and_then(|tools| tools.parse::<Version>().ok());
    if let Some(tools) = tools.filter(|tools| tools.release.series() != version.release.series()) {
        let tools = tools.release;
        let module = version.release;
        advice.push(format!(
            "The ZFS commands are {tools} and the kernel module is {module}, which may not understand each other. Restart the computer, or reinstall ZFS, so that both are of one version."
        ));
    }
    advice
}

/// All faults of this version in one sentence.
fn known_faults(told: &str, version: &Version, plain: bool) -> Option<String> {
    let concerns = |fault: &&Fault| plain || fault.concerns == Concerns::Everybody;
    let faults: Vec<_> = FAULTS.iter().filter(concerns).filter(|fault| fault.is_in(version)).collect();
    let mended = faults.iter().filter_map(|fault| fault.mended_for(version.release)).max()?;
    let what = faults.iter().map(|fault| fault.what).collect::<Vec<_>>().join("; ");
    let maybe = if version.is_plain() { "" } else { ", unless its packager has mended it" };
    Some(format!("ZFS {told} has known faults{maybe}: {what}. Upgrade to {mended} or later."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(module: &str) -> Versions {
        Versions { tools: Some(module.to_owned()), module: Some(module.to_owned()) }
    }

    /// The issues that are told of, and the version that is to come.
    fn told(module: &str, plain: bool) -> (Vec<u32>, Option<String>) {
        let texts = advice(&of(module), plain);
        let text = texts.first().cloned().unwrap_or_default();
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() >= 4);
        let upgrade = text.split("Upgrade to ").nth(1).and_then(|rest| rest.split(' ').next());
        (numbers.map(|number| number.parse().unwrap()).collect(), upgrade.map(str::to_owned))
    }

    #[test]
    fn each_version_is_told_the_faults_that_it_has_and_where_to_go() {
        let table: [(&str, bool, &[u32], Option<&str>); 17] = [
            // Debian 12, before and after its repair.
            ("2.1.11-1", false, &[15526, 11893, 15039], Some("2.1.14")),
            ("2.1.11-1+deb12u1", false, &[11893, 15039], Some("2.1.13")),
            ("2.1.11-1+deb12u1", true, &[11893, 15039, 12014], Some("2.2.8")),
            // Ubuntu 22.04.
            ("2.1.5-1ubuntu6~22.04.5", false, &[15526, 11893, 15039, 13709], Some("2.1.14")),
            ("2.1.2-1", false, &[15526, 11893, 15039, 12594], Some("2.1.14")),
            ("2.1.13-1", false, &[15526], Some("2.1.14")),
            ("2.1.14-1", false, &[], None),
            ("2.1.15-1", true, &[12014], Some("2.2.8")),
            ("2.2.2-1", false, &[15275], Some("2.2.3")),
            ("2.2.7-1", true, &[12014], Some("2.2.8")),
            ("2.2.7-1", false, &[], None),
            // Debian 12's backports.
            ("2.3.2-2~bpo12+2", true, &[], None),
            ("2.3.2-1", true, &[12014], Some("2.3.3")),
            ("2.3.9-1", true, &[], None),
            ("2.4.4-1~bpo13+1", true, &[], None),
            ("2.4.99-210_gbe7657e3f2", true, &[], None),
            ("3.0.0", true, &[], None),
        ];
        for (version, plain, issues, upgrade) in table {
            let upgrade = upgrade.map(str::to_owned);
            assert_eq!(told(version, plain), (issues.to_vec(), upgrade), "{version} {plain}");
        }
    }

    #[test]
    fn only_what_is_sure_to_ruin_backups_is_refused() {
        for (version, refused) in [
            ("0.8.6-1", true),
            ("0.8.3-1ubuntu12.17", true),
            ("2.0.0-1", false),
            ("2.1.0-1", false),
            ("2.1.11-1", false),
            ("2.2.0-1", true),
            ("2.2.1", true),
            // Somebody else's package may have the repair: told, not refused.
            ("2.2.0-0ubuntu1~23.10.3", false),
            ("2.2.0-rc4", false),
            ("2.2.2-1", false),
            ("2.4.4-1", false),
            ("garbage", false),
        ] {
            assert_eq!(refusal(&of(version)).is_some(), refused, "{version}");
        }
        assert_eq!(refusal(&Versions::default()), None);
        let told = refusal(&of("2.2.1-1")).unwrap();
        assert!(told.finding.starts_with("with ZFS 2.2.1 files that are copied"), "{told:?}");
        assert!(told.remedy.contains("ZFS to 2.2.2 or later"), "{told:?}");
        let told = refusal(&of("0.8.6")).unwrap();
        assert!(told.remedy.contains("ZFS to 2.1.0 or later"), "{told:?}");
    }

    #[test]
    fn tools_and_module_of_different_series_are_told_and_of_one_series_are_not() {
        let both = |tools: &str, module: &str| {
            let versions = Versions { tools: Some(tools.to_owned()), module: Some(module.to_owned()) };
            advice(&versions, false)
        };
        assert_eq!(both("2.3.9-1", "2.3.4-1"), Vec::<String>::new());
        let texts = both("2.4.4-1", "2.3.9-1");
        assert!(
            texts.len() == 1 && texts[0].contains("commands are 2.4.4 and the kernel module is 2.3.9"),
            "{texts:?}"
        );
        assert_eq!(both("strange", "2.3.9-1"), Vec::<String>::new());
    }

    #[test]
    fn a_version_that_is_missing_or_makes_no_sense_is_a_warning_at_most() {
        assert_eq!(advice(&Versions::default(), true), Vec::<String>::new());
        for strange in ["", "2", "2.1", "2.1.x", "2.1.1.1", "99999999999.1.1", "\u{1b}[2J", "v2.1.3"] {
            let texts = advice(&of(strange), true);
            assert_eq!(texts.len(), 1, "{strange:?}");
            assert!(!texts[0].contains('\u{1b}'), "{strange:?}");
        }
        let old = advice(&of("2.0.7-1"), false);
        assert!(old.len() == 2 && old[1].contains("older than what zferry is tried with (2.1.0)"), "{old:?}");
    }

    #[test]
    fn no_text_makes_it_panic() {
        use proptest::prelude::*;
        proptest!(|(text in ".{0,40}", number in "[0-9.+~a-z-]{0,20}")| {
            for version in [text, number] {
                let _ = (advice(&of(&version), true), refusal(&of(&version)));
            }
        });
    }

    #[test]
    fn the_table_is_in_order() {
        for fault in FAULTS {
            assert!(fault.mended.is_sorted() && !fault.mended.is_empty(), "{}", fault.what);
            assert!(!fault.what.ends_with('.'), "{}", fault.what);
        }
    }
}
