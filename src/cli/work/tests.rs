//! Jobs on a host whose `zfs` and `zpool` answer as no sane ones do, through to the exit code.

use std::os::unix::fs::symlink;
use std::sync::Mutex;

use clap::Parser as _;

use super::*;
use crate::cli::args::{Arguments, Command};
use crate::cli::{diff, files, request, rescue_page};
use crate::config::Settings;
use crate::execute::files::{Ask, NotTyped, Secret};
use crate::execute::session::SessionError;
use crate::model::Bytes;
use crate::report::status::{BaseState, DriveStatus, Waiting};

const CONFIG: &str = r#"
[drives.t7]
pool = "backup"
pool-guid = "7"
[backups.home]
source = "rpool/home"
target = "eds"
prune = "mirror"
"#;
const LIST_POOLS: &str = "zpool list -Hp -o name,guid,health,readonly,altroot\n";

/// Everything that a job was told to tell.
#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Sink for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A host with tools that do as they are told.
struct Host {
    directory: tempfile::TempDir,
    system: System,
    root: Root,
    store: Store,
    told: Told,
    cancel: Cancel,
}

impl Host {
    /// With tools whose answer is this shell text: `$tool` and the arguments say what was asked.
    fn answering(answer: &str) -> Self {
        let host = Self::with(&["zfs", "zpool"]);
        std::fs::write(host.directory.path().join("answer"), answer).unwrap();
        host
    }

    fn with(tools: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-tool.sh");
        for tool in tools {
            symlink(fake, directory.path().join(tool)).unwrap();
        }
        Self {
            system: System::with_directories(vec![directory.path().to_owned()]),
            root: Root::imitation(directory.path().join("root")),
            store: Store::new(directory.path().join("state")),
            told: Told::default(),
            cancel: Cancel::new(),
            directory,
        }
    }

    /// Runs a command line, and gives its results or its failure.
    fn job<T>(&self, job: impl FnOnce(&Environment<'_>) -> Result<T, JobError>) -> Result<T, Failure> {
        let locks = self.directory.path().join("locks");
        let env = Environment {
            runner: &self.system,
            cancel: &self.cancel,
            root: &self.root,
            sink: &self.told,
            ask: &crate::execute::luks::nobody,
            clock: &|| Timestamp::UNIX_EPOCH,
            zone: &jiff::tz::TimeZone::UTC,
            store: &self.store,
            locks: &locks,
            ending: &|_| crate::live::Ending::default(),
            interactive: false,
        };
        job(&env).map_err(|error| failure_of(error, &self.cancel))
    }

    /// Every command that was run, one a line.
    fn calls(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default()
    }
}

fn settings() -> Settings {
    crate::config::parse(CONFIG, Path::new("config.toml"), "laptop").unwrap()
}

/// The failure of a command line.
fn failure(host: &Host, line: &str) -> Failure {
    let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
    let common = request::common(&arguments.global, "laptop", Vec::new());
    let result = match arguments.command {
        Command::Run(typed) => {
            let request = request::run(typed, settings(), common).unwrap();
            host.job(|env| jobs::run::run(&request, env)?.into_iter().collect::<Result<Vec<_>, _>>())
                .map(drop)
        }
        Command::Plan(typed) => {
            let request = request::plan(typed, settings(), common).unwrap();
            let results = |env: &Environment<'_>| jobs::plan::plan(&request, env, &mut |_, _, _| panic!());
            host.job(|env| results(env)?.into_iter().collect::<Result<Vec<_>, _>>()).map(drop)
        }
        Command::Replicate(typed) => {
            let request = request::replicate(typed, common).unwrap();
            host.job(|env| jobs::replicate::replicate(&request, env)).map(drop)
        }
        Command::Eject(typed) => {
            let request = request::eject(&typed, settings(), common).unwrap();
            host.job(|env| jobs::eject::eject(&request, env)).map(drop)
        }
        Command::Open(typed) => {
            let request = files::open_request(&typed, settings(), common).unwrap();
            host.job(|env| jobs::files::open(&request, env, &mut Nobody, &mut |_| panic!())).map(drop)
        }
        Command::Rehearse(typed) => {
            let request = files::rehearse_request(&typed, settings(), common).unwrap();
            host.job(|env| jobs::files::rehearse(&request, env, &mut Nobody)).map(drop)
        }
        Command::RescuePage(typed) => {
            let request = rescue_page::request(&typed, settings(), common).unwrap();
            host.job(|env| jobs::rescue_page::rescue_page(&request, env)).map(drop)
        }
        Command::Close(typed) => {
            let request = files::close_request(&typed, settings(), common).unwrap();
            host.job(|env| jobs::files::close(&request, env)).map(drop)
        }
        Command::Restore(typed) if typed.into.is_none() => {
            let request = files::restore_request(typed, settings(), common).unwrap();
            host.job(|env| jobs::files::restore(&request, env, &mut Nobody)).map(drop)
        }
        Command::Restore(typed) => {
            let request = request::restore(typed, settings(), common).unwrap();
            host.job(|env| jobs::restore::restore(&request, env, &mut Nobody)).map(drop)
        }
        Command::Doctor(typed) => {
            let request = request::doctor(&typed, settings(), common).unwrap();
            host.job(|env| jobs::doctor::doctor(&request, env)).map(drop)
        }
        Command::Verify(typed) => {
            let request = request::verify(&typed, settings(), common).unwrap();
            host.job(|env| jobs::verify::verify(&request, env)).map(drop)
        }
        Command::List(typed) => {
            let request = request::list(typed, settings(), common).unwrap();
            host.job(|env| jobs::list::list(&request, env).into_iter().collect::<Result<Vec<_>, _>>())
                .map(drop)
        }
        Command::Status(typed) => {
            let request = request::status(&typed, settings(), common).unwrap();
            host.job(|env| jobs::status::status(&request, env)).map(drop)
        }
        Command::Diff(typed) => {
            let request = diff::request(typed, settings(), common).unwrap();
            host.job(|env| jobs::diff::diff(&request, env)?.into_iter().collect::<Result<Vec<_>, _>>())
                .map(drop)
        }
        Command::Check(_) | Command::Pause(_) | Command::Resume(_) => panic!("{line}"),
        // They begin without a configuration, and with a disk.
        Command::Init(_) | Command::Adopt(_) => panic!("{line}"),
        Command::Notify
        | Command::Log(_)
        | Command::Config { .. }
        | Command::Completions { .. }
        | Command::Stream { .. }
        | Command::Man { .. } => {
            panic!("{line}")
        }
    };
    result.unwrap_err()
}

/// No person is there.
struct Nobody;

impl Ask for Nobody {
    fn ask(&mut self, dataset: &crate::model::DatasetName, _again: bool) -> Result<Secret, NotTyped> {
        panic!("{dataset} is asked for")
    }
}

const LINES: [&str; 13] = [
    "zferry diff t7 home",
    "zferry verify t7",
    "zferry list t7",
    "zferry rescue-page t7",
    "zferry run t7",
    "zferry plan t7",
    "zferry replicate rpool/home backup/eds",
    "zferry eject t7",
    "zferry open t7",
    "zferry close t7",
    "zferry restore t7 home letter --to /",
    "zferry restore t7 home --into rpool/restored",
    "zferry status",
];

#[test]
fn a_zfs_that_answers_strangely_ends_every_command_at_its_first_question() {
    let table = [
        ("printf 'garbage\\n'", 69, "1 columns instead of 5"),
        ("printf 'rpool\\tx\\tONLINE\\toff\\t-\\n'", 69, "“x” is not a guid"),
        ("printf 'rpool\\t1\\tONLINE\\toff\\t-'", 69, "it ends in the middle of a line"),
        ("printf '\\377\\376\\n'", 69, "it is not UTF-8"),
        (
            "printf 'rpool\\t1\\tONLINE\\toff\\t-\\n'; echo oops >&2",
            69,
            "says that it succeeded and complains: oops",
        ),
        ("echo 'The ZFS modules are not loaded.' >&2; exit 1", 69, "The ZFS modules are not loaded."),
        ("echo 'Unable to open /dev/zfs: Permission denied.' >&2; exit 1", 77, "Permission denied"),
        ("exit 3", 69, "failed with exit code 3: no message"),
    ];
    for line in LINES {
        for (answer, code, words) in table {
            let host = Host::answering(answer);
            let failure = failure(&host, line);
            let text = failure.text();
            assert!(failure.code() == code && text.contains(words), "{line}, {answer}: {text}");
            assert!(text.contains("`zpool list -Hp"), "the command is named: {text}");
            assert_eq!(host.calls(), LIST_POOLS, "{line}, {answer}");
        }
    }
}

#[test]
fn a_host_without_zfs_is_told_so_with_the_places_and_the_remedy() {
    for line in LINES {
        let host = Host::with(&[]);
        let failure = failure(&host, line);
        let text = failure.text();
        assert_eq!(failure.code(), 69, "{line}");
        assert!(
            text.contains("`zpool` was not found in ") && text.contains("modprobe zfs"),
            "{line}: {text}"
        );
    }
}

#[test]
fn a_drive_that_is_not_connected_is_not_now() {
    let asked = format!("{LIST_POOLS}zfs version\n");
    for (line, calls) in [
        ("zferry run t7", asked.as_str()),
        ("zferry plan t7", &asked),
        ("zferry replicate rpool/home backup/eds", LIST_POOLS),
        ("zferry eject t7", LIST_POOLS),
    ] {
        // A host each: a lock stays taken for as long as some child of another test is between fork and exec.
        let host = Host::answering(
            "case \"$*\" in version) printf 'zfs-2.4.4\\nzfs-kmod-2.4.4\\n' ;; *) printf 'rpool\\t1\\tONLINE\\toff\\t-\\n' ;; esac",
        );
        assert_eq!((failure(&host, line).code(), host.calls().as_str()), (75, calls), "{line}");
    }
}

#[test]
fn a_zfs_that_ruins_backups_is_refused_before_the_drive_is_looked_for_and_ejects_all_the_same() {
    let host = || {
        Host::answering(
            "case \"$*\" in version) printf 'zfs-2.2.1-1\\nzfs-kmod-2.2.1-1\\n' ;; *) printf 'rpool\\t1\\tONLINE\\toff\\t-\\n' ;; esac",
        )
    };
    for line in ["zferry run t7", "zferry plan t7"] {
        let failure = failure(&host(), line);
        let text = failure.text();
        assert_eq!(failure.code(), 69, "{line}");
        assert!(
            text.contains("with ZFS 2.2.1 files") && text.contains("try: upgrade ZFS to 2.2.2"),
            "{text}"
        );
    }
    assert_eq!(failure(&host(), "zferry eject t7").code(), 75, "an export harms nothing");
}

#[test]
fn no_run_of_a_paused_drive_starts_and_nothing_is_asked_for_it() {
    let host = Host::answering("exit 3");
    host.store.pause(crate::model::Guid(7), Timestamp::UNIX_EPOCH).unwrap();
    for line in ["zferry run t7", "zferry run"] {
        let failure = failure(&host, line);
        let text = failure.text();
        assert_eq!((failure.code(), host.calls().as_str()), (75, ""), "{line}: {text}");
        assert!(
            text.contains("t7 is paused since 1970-01-01 00:00") && text.contains("zferry resume t7"),
            "{text}"
        );
    }
    assert_eq!(failure(&host, "zferry eject t7").code(), 69, "it is only runs that are paused");
}

#[test]
fn a_run_is_not_stopped_unless_somebody_says_so_and_what_is_no_run_never() {
    let locks = |host: &Host| host.directory.path().join("locks");
    let owner = "process 1, since noon";
    for (runs, expected) in [(true, "zferry open t7 --yes"), (false, "wait until it is done")] {
        let host = Host::answering("exit 3");
        let lock = crate::execute::lock::take(&locks(&host), crate::model::Guid(7), owner).unwrap();
        if runs {
            lock.backs_up().unwrap();
        }
        for line in if runs { &["zferry open t7"][..] } else { &["zferry open t7", "zferry open t7 --yes"] } {
            let failure = failure(&host, line);
            let text = failure.text();
            assert!(
                failure.code() == 75 && text.contains(expected) && text.contains(owner),
                "{line}: {text}"
            );
        }
    }
}

#[test]
fn no_command_to_type_is_made_of_what_a_drive_says() {
    for (host, typed) in [
        ("desk.example (hostid 5a66)", true),
        ("$(reboot) (hostid 5a66)", false),
        ("a;reboot", false),
        ("\u{fffd}[2J", false),
    ] {
        let error = SessionError::ForeignHost { drive: "t7".to_owned(), host: host.to_owned() };
        let hints = JobError::Session(error).remedies().join(" ");
        assert_eq!(hints.contains("--last-used-by="), typed, "{hints}");
        assert!(typed || !hints.contains("reboot"), "{hints}");
    }
}

/// A host with `rpool/home`, whose histories are these lines of name, guid and txg.
fn with_source(lines: &str) -> Host {
    let dataset = "rpool/home\\tfilesystem\\t5\\trpool/home\\t9\\tavailable\\t0\\t1\\t1\\t0\\t-\\t0\\tyes\\ton\\tlz4\\t131072\\tlegacy\\t-\\tprompt\\tpassphrase\\t17\\t0\\t0\\t0\\t-\\t-\\t-\\t-\\t-\\n";
    Host::answering(&format!(
        "case \"$tool $*\" in\n\
         zpool*) printf 'rpool\\t1\\tONLINE\\toff\\t-\\n' ;;\n\
         *filesystem,volume*) printf '{dataset}' ;;\n\
         *snapshot,bookmark*) printf '{lines}' ;;\n\
         *written*@b) printf 'rpool/home@b\\twritten\\t4096\\t-\\n' ;;\n\
         *) echo unexpected >&2; exit 9 ;;\nesac"
    ))
}

fn status_of(host: &Host) -> DriveStatus {
    let arguments = Arguments::try_parse_from(["zferry", "status"]).unwrap();
    let common = request::common(&arguments.global, "laptop", Vec::new());
    let Command::Status(typed) = arguments.command else { panic!() };
    let request = request::status(&typed, settings(), common).unwrap();
    host.job(|env| jobs::status::status(&request, env)).unwrap().remove(0)
}

#[test]
fn status_of_a_drive_that_is_away_comes_from_the_source_and_only_asks() {
    let host =
        with_source("rpool/home@a\\t11\\t1\\nrpool/home#zferry_7_11\\t11\\t1\\nrpool/home@b\\t12\\t2\\n");
    let status = status_of(&host);
    assert_eq!(status.base, BaseState::Safe);
    assert_eq!(status.waiting, Some(Waiting { snapshots: 1, datasets: 1, bytes: Some(Bytes(4096)) }));
    let asks = ["zpool list ", "zfs list ", "zfs get "];
    assert!(host.calls().lines().all(|call| asks.iter().any(|ask| call.starts_with(ask))));
    assert_eq!(host.calls().lines().count(), 4);
    assert!(!host.directory.path().join("state").exists(), "nothing is remembered by looking");
    assert!(!host.directory.path().join("locks").exists(), "nobody is kept out by looking");
}

#[test]
fn status_believes_no_success_that_is_still_to_come() {
    let status_at = |second: i64| {
        let host = with_source("");
        let mut state = crate::state::DriveState::empty("t7", crate::model::Guid(7));
        state.last_success = Timestamp::from_second(second).ok();
        host.store.save(&state).unwrap();
        status_of(&host).last_success
    };
    assert!(status_at(-60).is_some_and(|last| last.age.as_secs() == 60));
    assert!(status_at(60).is_none() && status_at(250_000_000_000).is_none());
}

#[test]
fn status_believes_no_listing_that_is_cut_or_garbled() {
    for (lines, words) in [
        ("rpool/home@a\\t11\\t1", "it ends in the middle of a line"),
        ("rpool/home@a\\t11\\n", "2 columns instead of 3"),
        ("rpool/home@a\\t11\\t1\\nrpool/home@b\\t12\\t1\\n", "have the same createtxg"),
    ] {
        let failure = failure(&with_source(lines), "zferry status");
        assert!(failure.code() == 69 && failure.text().contains(words), "{}", failure.text());
    }
}
