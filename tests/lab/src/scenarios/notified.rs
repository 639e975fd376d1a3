//! What the user who is logged in sees: a real session, a real bus, a real daemon that shows notifications.

use anyhow::{Result, bail, ensure};

use super::Scenario;
use super::plugged::{RUN, install, until_told};
use super::session::much;
use super::unplugged::{give_way_to, plug_again, wait_for_replug};
use crate::command::Output;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "who is logged in is told at the start and at the end of a backup, once, and safe to unplug stays",
            told,
        )
        .packaged(),
        Scenario::full("a drive that is pulled out in mid-run is told of on the desktop at once", pulled).packaged(),
        Scenario::full("a run that is killed and a wrong configuration are told of on the desktop", wrong).packaged(),
        Scenario::full(
            "a daemon that is away or new and hostile text keep the notifier from nothing",
            unwell,
        )
        .packaged(),
    ]
}

/// A session as a display manager opens it, without one: nobody could type a password here.
const PAM: &str = "auth required pam_permit.so\naccount required pam_permit.so\n@include common-session\n";

/// Dunst writes down what it is given, as it shows it.
const DUNSTRC: &str =
    "[global]\n    font = Monospace 10\n[lab]\n    summary = *\n    script = /usr/local/bin/seen\n";
const SEEN: &str = "#!/bin/sh\nprintf '%s|%s|%s|%s\\n' \"$DUNST_URGENCY\" \"$DUNST_TIMEOUT\" \"$DUNST_SUMMARY\" \
                    \"$(printf %s \"$DUNST_BODY\" | tr '\\n' '/')\" >> /srv/vera/seen\n";

/// A line as the user who is logged in types it.
fn vera(line: &str) -> String {
    format!(
        "runuser -u vera -- env HOME=/srv/vera XDG_RUNTIME_DIR=/run/user/1000 DISPLAY=:7 \
         DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus sh -c '{line}'"
    )
}

/// Somebody logs in, and has enabled the notifier.
fn log_in(lab: &mut Lab) -> Result<()> {
    lab.write("/etc/pam.d/lab-desktop", PAM)?;
    lab.write("/usr/local/bin/seen", SEEN)?;
    lab.write("/etc/systemd/user/lab-session.target", "[Unit]\nBindsTo=graphical-session.target\n")?;
    lab.run(
        "set -e; chmod 755 /usr/local/bin/seen; useradd -u 1000 -d /srv/vera -m -s /bin/sh vera; \
         useradd -u 1001 -d /srv/otto -m -s /bin/sh otto; \
         systemd-run -q --unit=desktop -p User=vera -p PAMName=lab-desktop -p Environment=XDG_SESSION_TYPE=x11 \
           -p Environment=XDG_SESSION_CLASS=user Xvfb :7 -screen 0 800x600x24 -nolisten tcp; \
         for try in $(seq 300); do test -S /run/user/1000/bus -a -S /tmp/.X11-unix/X7 && break; sleep 0.2; done; \
         loginctl list-sessions --no-legend | grep -w vera",
    )?
    .exits(0)?;
    lab.run("runuser -u vera -- mkdir -p /srv/vera/.config/dunst")?.exits(0)?;
    lab.write("/srv/vera/.config/dunst/dunstrc", DUNSTRC)?;
    lab.run(&vera(
        "set -e; systemctl --user daemon-reload; systemd-analyze --user verify --man=no zferry-notify.service; \
         systemctl --user set-environment DISPLAY=:7 XDG_SESSION_TYPE=x11; systemctl --user -q enable zferry-notify; \
         systemctl --user start lab-session.target; systemctl --user is-active zferry-notify",
    ))?
    .exits(0)?
    .says("active")?;
    Ok(())
}

/// All that was shown so far, a line each: urgency, how long, title, text.
fn seen(lab: &mut Lab) -> Result<Vec<String>> {
    let lines = lab.run("cat /srv/vera/seen 2>/dev/null; true")?.stdout();
    Ok(lines.lines().map(str::to_owned).collect())
}

/// The last that was shown begins so; gives the whole line.
fn until_seen(lab: &mut Lab, title: &str) -> Result<String> {
    let test = format!("tail -n 1 /srv/vera/seen | grep -F '|{title}|'");
    lab.wait_until(&format!("{title:?} is shown"), RUN, &test)?;
    Ok(lab.run("tail -n 1 /srv/vera/seen")?.stdout().trim().to_owned())
}

fn displayed(lab: &mut Lab) -> Result<Output> {
    lab.run(&vera("dunstctl count displayed"))
}

fn told(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    install(lab)?;
    log_in(lab)?;
    lab.run(&vera("sleep 3; dunstctl count displayed"))?.prints("0")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    until_seen(lab, "Backing up to t7")?;
    // A click opens the run that goes on, which needs no root.
    lab.run(&vera("dunstctl action"))?.exits(0)?;
    lab.wait_until("a terminal shows the run", RUN, "pgrep -u vera -f '^/usr/bin/zferry .* run t7$'")?;
    let safe = until_seen(lab, "Safe to unplug t7")?;
    ensure!(safe.starts_with("NORMAL|0|") && safe.contains("t7: ") && safe.contains("backed up"), "{safe}");
    until_told(lab, guid, 1, "Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    let all = seen(lab)?;
    let [start, _] = &all[..] else { bail!("not a start and an end: {all:#?}") };
    ensure!(start.ends_with("|Backing up to t7|Do not unplug it yet."), "{start}");
    // It took the place of the first, and stays for longer than anything does by itself.
    displayed(lab)?.prints("1")?;
    lab.run("sleep 60")?;
    displayed(lab)?.prints("1")?;
    // What was told is not told again.
    lab.run(&vera(
        "systemctl --user restart zferry-notify; sleep 5; systemctl --user is-active zferry-notify",
    ))?
    .exits(0)?;
    ensure!(seen(lab)?.len() == 2, "a restart repeats: {:#?}", seen(lab)?);
    lab.run(&vera("dunstctl close-all; sleep 1; dunstctl count displayed"))?.prints("0")?;
    // Plugged in a moment later: that there is no backup now, in the place of nothing.
    lab.plug(&t7)?;
    let soon = until_seen(lab, "No backup to t7 now")?;
    ensure!(soon.contains("ago, and is left as it is"), "{soon}");
    // The first terminal is still there; another click shows the runs that were.
    lab.run(&vera("dunstctl action"))?.exits(0)?;
    lab.wait_until("a terminal shows the runs", RUN, "pgrep -u vera -f 'xterm.* log t7$'")?;
    // The daily look finds the drive overdue, once the clock has gone on.
    lab.run("sed -i '/^pool-guid/a warn-after = \"14d\"' /etc/zferry/config.toml; date -s '+15 days'; zferry check")?
        .exits(1)?;
    let overdue = until_seen(lab, "Time to back up to t7")?;
    ensure!(overdue.starts_with("NORMAL|0|") && overdue.contains("15 d ago"), "{overdue}");
    // Whoever has not asked for it sees nothing, and a second one is refused.
    lab.run("! pgrep -u otto -f 'zferry notify'; runuser -u otto -- env -u DBUS_SESSION_BUS_ADDRESS zferry notify")?
        .exits(75)?
        .says("the session bus cannot be reached")?;
    lab.run(&vera("zferry notify"))?.exits(75)?.says("runs already")?;
    lab.run("zferry notify")?.exits(2)?.says("belongs to the session of a user")?;
    Ok(())
}

/// Udev's run of a slow drive goes on, and the user was told so.
fn begun(lab: &mut Lab) -> Result<(Drive, String)> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    wait_for_replug(lab, "10m")?;
    install(lab)?;
    log_in(lab)?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    until_seen(lab, "Backing up to t7")?;
    lab.until_written("backup", 9)?;
    Ok((t7, format!("zferry@{guid}.service")))
}

fn pulled(lab: &mut Lab) -> Result<()> {
    let (t7, unit) = begun(lab)?;
    let run = lab.run(&format!("systemctl show -P MainPID {unit}"))?.number()?;
    give_way_to(lab, run)?;
    lab.pull(&t7)?;
    let trouble =
        "tail -n 1 /srv/vera/seen | grep -F '|Trouble with t7 in the middle of its backup|Plug in t7'";
    lab.wait_until("what to do is shown", RUN, trouble)?;
    let all = seen(lab)?;
    ensure!(all.iter().any(|line| line.starts_with("CRITICAL|0|Trouble with t7")), "{all:#?}");
    ensure!(all.iter().any(|line| line.contains("t7 is gone: ")), "{all:#?}");
    plug_again(lab, &t7)?;
    let ended = format!("test $(systemctl show -P ActiveState {unit}) != activating");
    lab.wait_until("the run has ended", RUN, &ended)?;
    lab.run("sleep 3")?;
    let all = seen(lab)?;
    let last = all.last().map(String::as_str).unwrap_or_default();
    // The kernel goes on with the pool, or it does not.
    if last.contains("|Safe to unplug t7|") {
        ensure!(all.iter().filter(|line| line.contains("|Backing up to t7|")).count() == 2, "{all:#?}");
        lab.remark("the kernel went on with the pool");
    } else {
        ensure!(last.contains("|The backup to t7 failed|") && last.starts_with("CRITICAL|0|"), "{all:#?}");
        lab.remark("the kernel did not go on with the pool");
    }
    Ok(())
}

/// What keeps a run from saying how it ended, and what keeps it from beginning.
fn wrong(lab: &mut Lab) -> Result<()> {
    let (t7, unit) = begun(lab)?;
    lab.run(&format!("systemctl kill -s KILL {unit}"))?.exits(0)?;
    let killed = until_seen(lab, "The backup to t7 was cut off")?;
    ensure!(killed.starts_with("CRITICAL|0|") && killed.contains("Do NOT unplug t7"), "{killed}");
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    until_seen(lab, "Safe to unplug t7")?;
    lab.gone(&t7)?;

    // As far as the drive can be told, and then not even that.
    lab.run("sed -i 's/^prune = .*/prune = \"sometimes\"/' /etc/zferry/config.toml; systemctl reset-failed")?;
    lab.plug(&t7)?;
    let refused = until_seen(lab, "The backup to t7 failed")?;
    ensure!(
        refused.contains("no run of it can start") && refused.contains("zferry config check"),
        "{refused}"
    );
    lab.pull(&t7)?;
    lab.run("echo nonsense >> /etc/zferry/config.toml")?.exits(0)?;
    lab.plug(&t7)?;
    let unknown = until_seen(lab, "zferry cannot start a backup")?;
    ensure!(unknown.starts_with("CRITICAL|0|") && unknown.contains("not TOML"), "{unknown}");
    Ok(())
}

/// What stands in the status when nothing of zferry has written it.
const HOSTILE: &str = r#"{"v":1,"from-the-future":[],"drives":[{"drive":"--help\u001b[2J<b>&x</b>","pool":"backup","guid":"9","state":"failed","began":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:00:01Z","found":true,"message":"\u202e<img src=\"/etc/passwd\">$(touch /srv/vera/owned) MUCH","hints":["`touch /srv/vera/owned`"],"exit":1}]}"#;

fn unwell(lab: &mut Lab) -> Result<()> {
    install(lab)?;
    // There is no /run/zferry before the first run where nobody makes it at boot.
    lab.run("rm -rf /run/zferry")?.exits(0)?;
    log_in(lab)?;
    let status = |lab: &mut Lab, text: &str| {
        lab.write("/run/lab/status", text)?;
        lab.run("mkdir -p /run/zferry; cp /run/lab/status /run/zferry/.new; chmod 644 /run/zferry/.new; mv /run/zferry/.new /run/zferry/status.json")?
            .exits(0)
            .map(drop)
    };
    status(lab, &HOSTILE.replace("MUCH", &"much ".repeat(20_000)))?;
    lab.wait_until("it is shown", RUN, "grep -F 'The backup to --help' /srv/vera/seen")?;
    let line = seen(lab)?.pop().unwrap_or_default();
    ensure!(line.starts_with("CRITICAL|0|") && line.chars().count() < 800, "{line}");
    // As text: of markup, dunst would have taken this away.
    ensure!(!line.contains(['\u{1b}', '\u{202e}']) && line.contains("<img src="), "{line}");
    lab.run(&vera("dunstctl action; sleep 3; test -e /srv/vera/owned || ! pgrep -u vera xterm"))?.exits(0)?;
    lab.run("test -e /srv/vera/owned")?.exits(1)?;
    // What cannot be read is no reason to end.
    status(lab, "{\"v\":1,\"drives\":[{")?;
    let well = |began: &str| {
        format!(
            "{{\"v\":1,\"drives\":[{{\"drive\":\"t7\",\"pool\":\"backup\",\"guid\":\"7\",\"state\":\"failed\",\
             \"began\":\"{began}\",\"ended\":\"{began}\",\"message\":\"run of {began}\",\"exit\":1}}]}}"
        )
    };
    status(lab, &well("2026-01-02T00:00:00Z"))?;
    until_seen(lab, "The backup to t7 failed")?;
    let shown = |lab: &mut Lab, day: &str| {
        let test = format!("tail -n 1 /srv/vera/seen | grep -F 'run of {day}'");
        lab.wait_until("it is shown", RUN, &test)
    };
    // The daemon ends, and is started when there is something to show.
    lab.run(&vera("systemctl --user stop dunst; sleep 2"))?.exits(0)?;
    let before = seen(lab)?.len();
    status(lab, &well("2026-01-03T00:00:00Z"))?;
    shown(lab, "2026-01-03")?;
    ensure!(seen(lab)?.len() == before + 1, "a new daemon is told old things: {:#?}", seen(lab)?);
    // There is none at all, and then there is.
    lab.run(&vera("systemctl --user mask --now --runtime dunst; sleep 2"))?.exits(0)?;
    status(lab, &well("2026-01-04T00:00:00Z"))?;
    lab.wait_until(
        "it says so",
        RUN,
        "journalctl -q -o cat _COMM=zferry | grep -F 'Nothing can be shown at the moment'",
    )?;
    ensure!(seen(lab)?.len() == before + 1, "it was shown by nobody");
    lab.run(&vera("systemctl --user unmask --runtime dunst; systemctl --user start dunst"))?.exits(0)?;
    shown(lab, "2026-01-04")?;
    // The directory goes, and comes again.
    lab.run("rm -rf /run/zferry; sleep 2")?.exits(0)?;
    status(lab, &well("2026-01-05T00:00:00Z"))?;
    shown(lab, "2026-01-05")?;
    // The session ends.
    lab.run("loginctl terminate-user vera; for try in $(seq 100); do pgrep -u vera zferry || exit 0; sleep 0.2; done; exit 1")?
        .exits(0)?;
    Ok(())
}
