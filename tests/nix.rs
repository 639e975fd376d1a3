//! The Nix files, as far as they can be tried without nixpkgs: they parse, they evaluate against a stub of what they use
//! (nix/tests/stub.nix), and what they configure is what the program accepts. The unit and the rule are not the modules'
//! but those in udev-rules/, with which the lab's scenarios run.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]
#![expect(clippy::disallowed_methods, reason = "tests start Nix, and the program that they test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn instantiate(arguments: &[&str], file: &Path) -> Output {
    let mut run = Command::new("nix-instantiate");
    run.args(arguments).arg(file).env("NIX_CONFIG", "build-users-group =");
    run.output()
        .expect("nix-instantiate cannot be started: `cargo lab setup` installs it, or your system's Nix")
}

fn nix_files() -> Vec<PathBuf> {
    let within =
        |directory: &str| fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let all = within("nix").chain(within("nix/tests"));
    let nix = all.filter(|path| path.extension().is_some_and(|extension| extension == "nix"));
    nix.chain([root().join("flake.nix")]).collect()
}

fn evaluated() -> Value {
    let output = instantiate(
        &["--eval", "--strict", "--json", "--store", "dummy://"],
        &root().join("nix/tests/eval.nix"),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_file_parses() {
    let files = nix_files();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let output = instantiate(&["--parse"], &file);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_file_is_formatted_as_those_of_nixpkgs() {
    for file in nix_files() {
        let text = fs::read_to_string(&file).unwrap();
        let formatted =
            nixfmt_rs::format(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(
            text,
            formatted,
            "{}: `nix fmt`, or the nixfmt of `cargo install nixfmt_rs`",
            file.display()
        );
    }
}

#[test]
fn the_module_refuses_what_cannot_work_and_nothing_else() {
    let assertions = &evaluated()["assertions"];
    assert_eq!(assertions["good"], json!([]));
    assert_eq!(assertions["streamsAlone"], json!([]));
    for (case, words) in [
        ("zfs", "boot.supportedFilesystems.zfs = true"),
        ("drives", "names no drive"),
        ("nobody", "does not say who"),
        ("extraPools", "a drive that may be away must not be in it"),
        ("secret", "give it as file:/path"),
        ("secretStream", "streams.diary.ping is a secret"),
    ] {
        let said = assertions[case].as_array().unwrap();
        assert!(said.len() == 1 && said[0].as_str().unwrap().contains(words), "{case}: {said:?}");
    }
}

/// What the module adds to the unit is where the tools are, and what NixOS does on a switch: nothing of what it does.
#[test]
fn the_unit_and_the_rule_are_those_of_every_other_system() {
    let all = evaluated();
    let system = &all["system"];
    assert_eq!(all["disabled"], json!({}));
    assert_eq!(system["systemd"]["packages"], json!(["/nix/store/zferry"]));
    assert_eq!(system["services"]["udev"]["packages"], json!(["/nix/store/zferry"]));
    assert_eq!(all["manual"]["services"]["udev"]["packages"], json!({}), "no rule where none is wanted");
    let path = json!([
        "/run/booted-system/sw",
        "/nix/store/cryptsetup",
        "/nix/store/udisks2",
        "/nix/store/util-linux"
    ]);
    assert_eq!(
        system["systemd"]["services"],
        json!({
            "zferry@": {"path": path, "restartIfChanged": false, "stopIfChanged": false},
            "zferry-check": {"path": path},
            "zferry-save@": {"path": path, "restartIfChanged": false, "stopIfChanged": false},
        })
    );
    let wanted = json!(["timers.target"]);
    assert_eq!(
        system["systemd"]["timers"],
        json!({
            "zferry-check": {"wantedBy": wanted},
            "zferry-save@diary": {
                "overrideStrategy": "asDropin",
                "wantedBy": wanted,
                "timerConfig": {"OnCalendar": ["", "daily"]},
            },
        })
    );
    assert_eq!(all["manual"]["systemd"]["timers"], json!({"zferry-check": {"wantedBy": wanted}}));
    // The package takes them from there, and changes one word in each unit.
    let install = all["flake"]["postInstall"].as_str().unwrap();
    assert!(install.contains("udev-rules/*.rules") && install.contains("udev-rules/*.service"), "{install}");
    assert!(
        install.contains("--replace-fail \"ExecStart=zferry\" \"ExecStart=$out/bin/zferry\""),
        "{install}"
    );
    for entry in fs::read_dir(root().join("udev-rules")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "service") {
            let unit = fs::read_to_string(&path).unwrap();
            assert_eq!(unit.matches("ExecStart=zferry ").count(), 1, "{}", path.display());
        }
    }
}

#[test]
fn members_of_the_group_may_type_these_commands_and_no_other() {
    let all = evaluated();
    let security = &all["system"]["security"];
    let sudo = &security["sudo"]["extraRules"][0];
    let commands: Vec<&str> =
        sudo["commands"].as_array().unwrap().iter().map(|c| c["command"].as_str().unwrap()).collect();
    let program = "/run/current-system/sw/bin/zferry";
    let expected = ["run", "eject", "run t7", "eject t7"];
    assert_eq!(commands, expected.map(|words| format!("{program} {words}")));
    let doas = security["doas"]["extraRules"].as_array().unwrap();
    let words = |rule: &Value| {
        let words = rule["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(doas.iter().map(words).collect::<Vec<_>>(), expected);
    let polkit = security["polkit"]["extraConfig"].as_str().unwrap();
    assert!(polkit.contains(r"/^zferry@[0-9]+\.service$/.test(") && polkit.contains(r#"isInGroup("wheel")"#));
    for rules in ["sudo", "doas"] {
        assert_eq!(all["manual"]["security"][rules]["extraRules"], json!({}), "{rules}: nobody was named");
    }
}

/// As pkgs.formats.toml writes it, but for the order of the keys.
#[test]
fn the_program_accepts_the_settings_of_the_module() {
    let settings: toml::Table = serde_json::from_value(evaluated()["settings"].clone()).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, toml::to_string(&settings).unwrap().as_bytes()).unwrap();
    let check = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zferry"));
        command.args(["--config", path.to_str().unwrap(), "config", "check"]).output().unwrap()
    };
    let output = check(file.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::io::Write::write_all(&mut file, b"[drives.t7.typo]\n").unwrap();
    assert_eq!(check(file.path()).status.code(), Some(78), "what the build checks has to be a check");
}

#[test]
fn the_alias_is_the_run_behind_what_makes_it_root() {
    let all = evaluated();
    assert_eq!(all["home"]["home"]["shellAliases"], json!({"backup-to-drive": "sudo zferry run"}));
    assert_eq!(all["home"]["home"]["packages"], json!(["/nix/store/zferry"]));
    assert_eq!(all["homeWithSystemd"]["home"]["shellAliases"], json!({"backup-to-drive": "run0 zferry run"}));
    assert_eq!(all["homeWithDoas"]["home"]["shellAliases"], json!({"backup-to-drive": "doas zferry run"}));
    assert_eq!(all["homeWithDoas"]["home"]["packages"], json!([]));
    assert_eq!(all["homeWithout"]["home"]["shellAliases"], json!({}));
}

/// The unit of home-manager is the one that every other system has, but for where the program lies.
#[test]
fn the_notifier_is_the_unit_of_every_other_system() {
    let unit = fs::read_to_string(root().join("packaging/zferry-notify.service")).unwrap();
    let mut expected: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once('=') {
            Some((key, value)) => expected.push((section.clone(), key.to_owned(), value.to_owned())),
            None => line.trim_matches(['[', ']']).clone_into(&mut section),
        }
    }
    expected.sort();
    let all = evaluated();
    assert_eq!(all["home"]["systemd"]["user"]["services"], json!({}), "nobody has asked for it");
    let programs = ["/nix/store/zferry/bin/zferry", "/run/current-system/sw/bin/zferry"];
    for (home, program) in all["homeNotified"].as_array().unwrap().iter().zip(programs) {
        let sections = home["systemd"]["user"]["services"]["zferry-notify"].as_object().unwrap();
        let mut written: Vec<(String, String, String)> = Vec::new();
        for (section, keys) in sections {
            for (key, value) in keys.as_object().unwrap() {
                let value = value.as_str().unwrap().replace(program, "zferry");
                written.push((section.clone(), key.clone(), value));
            }
        }
        written.sort();
        assert_eq!(written, expected);
    }
    let install = all["flake"]["postInstall"].as_str().unwrap();
    assert!(install.contains("$out/lib/systemd/user packaging/zferry-notify.service"), "{install}");
}

#[test]
fn the_flake_has_what_flakes_have() {
    let flake = &evaluated()["flake"];
    let outputs = ["checks", "devShells", "formatter", "homeModules", "nixosModules", "overlays", "packages"];
    assert_eq!(flake["outputs"], json!(outputs));
    assert_eq!(
        (flake["pname"].as_str(), flake["version"].as_str()),
        (Some("zferry"), Some(env!("CARGO_PKG_VERSION")))
    );
    let portable = &flake["portable"];
    assert_eq!((&portable["buildInputs"], &portable["buildNoDefaultFeatures"]), (&json!([]), &json!(true)));
    let beside = "/bin/zferry $out/lib/zferry/zferry-static\n";
    assert!(portable["beside"].as_str().is_some_and(|script| script.ends_with(beside)), "{portable}");
    assert!(!flake["postInstall"].as_str().is_some_and(|script| script.contains("zferry-static")));
    assert_eq!(
        flake["modules"],
        json!([{"services": {"zferry": {"package": "/nix/store/zferry"}}}, {"programs": {"zferry": {"package": "/nix/store/zferry"}}}])
    );
}

/// docs/nix-options.md is written from the modules.
#[test]
fn the_options_are_documented_from_the_modules() {
    let mut page = "# Options for NixOS and home-manager\n\nWritten from `nix/nixos-module.nix` and `nix/home-module.nix`. \
                    [How to use them](how-to/nixos.md).\n"
        .to_owned();
    let all = evaluated();
    for (title, options) in ["NixOS", "home-manager"].iter().zip(all["options"].as_array().unwrap()) {
        page += &format!("\n## {title}\n");
        for option in options.as_array().unwrap() {
            let text = |key: &str| option[key].as_str().unwrap_or_default();
            let description = markdown(text("description"));
            page += &format!("\n### `{}`\n\n{description}\n\n", text("name"));
            page += &format!("{}; default `{}`", capitalised(text("type")), text("default"));
            page += &match &option["example"] {
                Value::Null => ".\n".to_owned(),
                Value::String(example) if example.contains('\n') => {
                    format!(". Example:\n\n```nix\n{}\n```\n", example.trim_end())
                }
                example => format!("; example `{example}`.\n"),
            };
        }
    }
    let path = root().join("docs/nix-options.md");
    let proposed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix-options.md");
    fs::write(&proposed, &page).unwrap();
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/nix-options.md is out of date: cp {} docs/", proposed.display());
}

/// What nixpkgs marks as file or option is code here, and paragraphs are lines.
fn markdown(description: &str) -> String {
    let text = description.split_whitespace().collect::<Vec<_>>().join(" ");
    ["{file}`", "{option}`", "{command}`", "{manpage}`"]
        .iter()
        .fold(text, |text, mark| text.replace(mark, "`"))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
