//! Who is not there is told too: a monitor, here a server in the guest, and programs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Scenario;
use super::plugged::{RUN, install, until_told};
use super::session::much;
use super::unplugged::{plug_again, pull_in_mid_run, start, wait_for_replug};
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "a monitor and programs are told how a run went, and nobody learns the monitor's address",
            told,
        ),
        Scenario::full("a drive that is pulled out in mid-run is an alert within 20 s", pulled).packaged(),
        Scenario::full("a monitor that does not do its part keeps no run from doing its own", unwell).packaged(),
        Scenario::full(
            "a drive that is refused and a wrong configuration are alerts, and a run that somebody stops is none",
            refused,
        )
        .packaged(),
        Scenario::full("a drive that was away for too long is told of once a day", overdue).packaged(),
    ]
}

/// A web server of a few lines: it keeps what it is asked, and answers as the first part of the path says. The guest has
/// no other.
const SERVER: &str = r#"
use strict; use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1:8089', Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
    if (fork) { close $client; next }
    my ($first, $length, $body) = (scalar(<$client>), 0, '');
    while (my $line = <$client>) { $length = $1 if $line =~ /^content-length:\s*(\d+)/i; last if $line =~ /^\s*$/ }
    read $client, $body, $length if $length;
    open my $file, '>>', '/run/lab/asked' or die $!;
    $first =~ s/\s+$//; $body =~ s/\n/|/g;
    syswrite $file, "$first :: $body\n";
    my ($kind) = $first =~ m{^\S+ /(\w+)};
    sleep 600 if $kind eq 'silent';
    my $status = $kind eq 'broken' ? '500 No' : $kind eq 'moved' ? "302 Found\r\nLocation: http://127.0.0.1:8089/elsewhere" : '200 OK';
    print $client "HTTP/1.1 $status\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
    exit;
}
"#;

/// What nobody may ever see.
const SECRET: &str = "5c7b9e4f-secret";

/// The server runs, and the drive's alerts are these lines.
fn alerts(lab: &mut Lab, lines: &str) -> Result<()> {
    listen(lab)?;
    lab.write("/run/lab/alerts", format!("\n[drives.t7.alerts]\n{lines}\n"))?;
    lab.run("cat /run/lab/alerts >> /etc/zferry/config.toml")?.exits(0)?;
    Ok(())
}

/// The server runs, and there is a program that writes down what it is told.
pub(super) fn listen(lab: &mut Lab) -> Result<()> {
    lab.write("/run/lab/server", SERVER)?;
    lab.run(
        "systemctl is-active -q monitor || systemd-run -q --unit=monitor --collect perl /run/lab/server; \
         for try in {1..50}; do ss -ltn | grep -q 127.0.0.1:8089 && exit 0; sleep 0.2; done; exit 1",
    )?
    .exits(0)
    .context("there is no server")?;
    lab.write(
        "/usr/local/bin/tell-me",
        "#!/bin/sh\n{ env | grep ^ZFERRY_ | sort; echo; cat; echo =; } >> /run/lab/programs\n",
    )?;
    lab.run("chmod +x /usr/local/bin/tell-me; mkdir -p /etc/zferry; rm -f /run/lab/asked /run/lab/programs")?
        .exits(0)?;
    Ok(())
}

/// The monitor's address is that of this kind, in a file that only root may read.
pub(super) fn monitor(lab: &mut Lab, prefix: &str, kind: &str) -> Result<()> {
    let line = format!("{prefix}http://127.0.0.1:8089/{kind}/{SECRET}");
    lab.write("/etc/zferry/ping", line)?;
    lab.run("chmod 600 /etc/zferry/ping; rm -f /run/lab/asked")?.exits(0)?;
    Ok(())
}

/// What the server was asked since the last time.
pub(super) fn asked(lab: &mut Lab) -> Result<Vec<String>> {
    let lines = lab.run("cat /run/lab/asked 2>/dev/null; rm -f /run/lab/asked")?.stdout();
    Ok(lines.lines().map(str::to_owned).collect())
}

/// What comes behind this in a request, up to the next of these.
fn field<'a>(line: &'a str, name: &str) -> Result<&'a str> {
    let rest = line.split_once(name).with_context(|| format!("no {name} in {line}"))?.1;
    Ok(rest.split(['&', ' ', '|']).next().unwrap_or_default())
}

const FILE: &str = "ping = \"file:/etc/zferry/ping\"";
const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

fn told(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    alerts(
        lab,
        &format!(
            "{FILE}\non-start = [\"tell-me\"]\non-success = [\"tell-me\", \"$HOME\"]\non-failure = [\"tell-me\"]"
        ),
    )?;
    monitor(lab, "healthchecks:", "well")?;
    lab.run("zferry config check")?.exits(0)?.says_nothing_of("Warning")?;
    // One that is away is no failure.
    lab.run("zferry -vv run --wait=0s t7")?.exits(75)?.says_nothing_of(SECRET)?;
    ensure!(asked(lab)?.is_empty(), "a drive that is away was told of");
    install(lab)?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    lab.until_written("backup", 9)?;
    lab.run(&format!(
        "! grep -saF {SECRET} /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -v '^/proc/self'"
    ))?
    .prints("")?;
    until_told(lab, guid, 1, SAFE)?;
    let all = asked(lab)?;
    let [start, end] = &all[..] else { bail!("not a start and an end: {all:#?}") };
    ensure!(start.starts_with(&format!("POST /well/{SECRET}/start?rid=")), "{start}");
    ensure!(end.starts_with(&format!("POST /well/{SECRET}?rid=")), "{end}");
    ensure!(field(start, "rid=")? == field(end, "rid=")?, "two runs:\n{start}\n{end}");
    ensure!(end.contains(SAFE) && end.contains("|Exported “backup”.|"), "{end}");
    ensure!(end.len() < 10_500, "{} bytes", end.len());
    let programs = lab.run("cat /run/lab/programs")?;
    programs
        .says("ZFERRY_EVENT=start")?
        .says("ZFERRY_EVENT=success")?
        .says(&format!("ZFERRY_POOL_GUID={guid}"))?
        .says_nothing_of("failure")?
        .says_nothing_of(SECRET)?;

    // Looking is told to nobody.
    lab.run("zferry status; zferry log t7; zferry config show")?.exits(0)?.says_nothing_of(SECRET)?;
    ensure!(asked(lab)?.is_empty(), "a look was told of");
    lab.run(&format!(
        "! journalctl -q -o cat | grep -F {SECRET}; ! grep -rsF {SECRET} /var/lib/zferry /run/zferry"
    ))?
    .exits(0)?
    .prints("")?;
    Ok(())
}

fn pulled(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    wait_for_replug(lab, "10m")?;
    alerts(lab, &format!("{FILE}\non-failure = [\"tell-me\"]"))?;
    monitor(lab, "healthchecks:", "well")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let mut run = start(lab)?;
    lab.until_written("backup", 9)?;
    pull_in_mid_run(lab, &t7, &run)?;
    let pulled = Instant::now();
    let fails = format!("grep -F '/well/{SECRET}/fail?rid=' /run/lab/asked");
    lab.wait_until("the monitor knows", Duration::from_secs(120), &fails)?;
    let took = pulled.elapsed();
    lab.remark(&format!("told after {:.1} s", took.as_secs_f32()));
    ensure!(took < Duration::from_secs(20), "it took {took:?} to tell that the drive is gone");
    lab.wait_until("the program knows", RUN, "grep -F 'ZFERRY_MESSAGE=t7 is gone' /run/lab/programs")?;
    lab.until_says(&mut run, "Plug in t7")?;
    plug_again(lab, &t7)?;
    let run = lab.finish(run)?;
    let all = asked(lab)?;
    let last = all.last().context("nothing was told at the end")?;
    if run.exits(0).is_ok() {
        ensure!(last.starts_with(&format!("POST /well/{SECRET}?rid=")), "{all:#?}");
    } else {
        // The kernel did not go on with the pool, which happens.
        run.exits(1)?;
        ensure!(last.starts_with(&format!("POST /well/{SECRET}/fail?rid=")), "{all:#?}");
    }
    run.says_nothing_of(SECRET)?;
    Ok(())
}

fn unwell(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    alerts(lab, FILE)?;
    for (kind, why) in [
        ("broken", "127.0.0.1 answers with status 500"),
        ("moved", "127.0.0.1 answers with status 302, a redirection, which is not followed"),
        ("silent", "127.0.0.1: there was no answer in time"),
        ("down", "127.0.0.1: connection refused"),
    ] {
        lab.plug_if_away(&t7)?;
        monitor(lab, "healthchecks:", kind)?;
        if kind == "down" {
            lab.run("systemctl stop monitor")?.exits(0)?;
        }
        let run = lab.run("zferry -vv run t7")?;
        run.exits(0)?
            .says(&format!("Warning: The monitor of t7 was not told “success”: {why}"))?
            .says_nothing_of(SECRET)?
            .says_nothing_of("elsewhere")?
            .last_word(SAFE)?;
        lab.remark(&format!("{kind}: {:.0} s", run.took.as_secs_f32()));
        ensure!(!asked(lab)?.iter().any(|line| line.contains("elsewhere")), "it was followed");
        lab.gone(&t7)?;
    }
    lab.run("rm /etc/zferry/ping")?.exits(0)?;
    lab.plug(&t7)?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?.says("/etc/zferry/ping cannot be read")?.last_word(SAFE)?;
    Ok(())
}

/// A pool that was made anew and claims to be the drive; a configuration that is wrong; a run that somebody stops.
fn refused(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    alerts(lab, &format!("{FILE}\non-failure = [\"tell-me\"]"))?;
    monitor(lab, "healthchecks:", "well")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 9)?;
    lab.run("pkill -INT -x zferry")?.exits(0)?;
    lab.finish(run)?.exits(130)?.last_word(SAFE)?;
    let all = asked(lab)?;
    ensure!(all.len() == 2 && all[1].contains("/log?rid="), "a run that was stopped: {all:#?}");
    // To another monitor, and with everything said that can be.
    lab.plug(&t7)?;
    monitor(lab, "cronitor:", "well")?;
    let run = lab.run("RUST_LOG=trace zferry -vv run t7")?;
    run.exits(0)?.last_word(SAFE)?.says_nothing_of(SECRET)?;
    let all = asked(lab)?;
    let [start, end] = &all[..] else { bail!("not a start and an end: {all:#?}") };
    ensure!(start.starts_with(&format!("GET /well/{SECRET}?state=run&message=")), "{start}");
    ensure!(end.contains("?state=complete&message=t7%3A") && end.contains("&metric=duration:"), "{end}");
    ensure!(field(start, "series=")? == field(end, "series=")?, "two runs:\n{start}\n{end}");
    monitor(lab, "healthchecks:", "well")?;

    // As an attacker, or a person who made it anew, would have it: the same guid, and nothing on it.
    lab.plug(&t7)?;
    lab.run(&format!(
        "set -e; zpool import -N -o cachefile=none -d /dev/disk/by-id {guid}; zfs destroy -r backup/eds; \
         zpool sync backup; zpool export backup; udevadm settle"
    ))?
    .exits(0)?;
    let before = lab.run("zfs list -H -t bookmark -o name -r rpool")?.stdout();
    let run = lab.run("zferry run t7")?;
    run.exits(1)?.last_word(SAFE)?;
    let all = asked(lab)?;
    ensure!(all.len() == 2 && all[1].contains("/fail?rid="), "a forged drive: {all:#?}");
    lab.plug(&t7)?;
    lab.on_drive(&t7, "backup", "zfs list -H -o name -r backup")?.prints("backup")?;
    lab.run("zfs list -H -t bookmark -o name -r rpool")?.prints(before.trim())?;

    // Plugged in while the configuration is wrong.
    lab.pull(&t7)?;
    install(lab)?;
    lab.run(
        "sed -i 's/^prune = .*/prune = \"sometimes\"/' /etc/zferry/config.toml; rm -f /run/lab/programs",
    )?
    .exits(0)?;
    lab.plug(&t7)?;
    let failed = format!("test \"$(systemctl show -P Result zferry@{guid})\" = exit-code");
    lab.wait_until("the unit has failed", RUN, &failed)?;
    lab.run(&format!("systemctl show -P ExecMainStatus zferry@{guid}"))?.prints("78")?;
    let all = asked(lab)?;
    ensure!(all.len() == 1 && all[0].contains("/fail HTTP") && all[0].contains("sometimes"), "{all:#?}");
    lab.run("grep ZFERRY_EVENT /run/lab/programs")?.prints("ZFERRY_EVENT=failure")?;
    lab.run(&format!("journalctl -q -o cat -p err -u zferry@{guid}"))?.says("the configuration")?;
    lab.run(&format!("! journalctl -q -o cat | grep -F {SECRET}"))?.exits(0)?;
    Ok(())
}

/// The timer's unit finds it; the clock is moved instead of waiting.
fn overdue(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("sed -i '/^pool-guid/a warn-after = \"14d\"' /etc/zferry/config.toml")?.exits(0)?;
    alerts(lab, &format!("{FILE}\non-failure = [\"tell-me\"]"))?;
    monitor(lab, "healthchecks:", "well")?;
    install(lab)?;
    lab.run(
        "systemd-analyze verify --man=no /usr/lib/systemd/system/zferry-check.timer && systemctl list-timers --no-pager | grep zferry-check && ! test -s /run/lab/asked",
    )?
    .exits(0)?;
    // Nothing is known of it yet, and nothing is wrong.
    lab.run("zferry check")?
        .exits(0)?
        .says("t7: this computer knows of no backup to it, and counts from now on")?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.run("zferry check")?.exits(0)?.says("t7: the last complete run was")?;
    asked(lab)?;
    lab.run("date -s '+15 days'")?.exits(0)?;
    lab.run("setpriv --reuid=65534 --clear-groups zferry check")?
        .exits(1)?
        .says("the last complete run was 15 d ago")?;
    ensure!(asked(lab)?.is_empty(), "somebody who may not told others");
    lab.run("systemctl start zferry-check.service")?.exits(1)?;
    lab.run("journalctl -q -o cat -p err -u zferry-check.service")?
        .says("15 d ago, and warn-after is 14 d")?;
    let all = asked(lab)?;
    ensure!(all.len() == 1 && all[0].contains(&format!("POST /well/{SECRET}/fail HTTP")), "{all:#?}");
    ensure!(all[0].contains("t7: the last complete run was 15 d ago"), "{all:#?}");
    lab.run("cat /run/lab/programs")?
        .says("ZFERRY_EVENT=overdue")?
        .says(&format!("ZFERRY_POOL_GUID={guid}"))?;
    // Once a day.
    lab.run("zferry check")?.exits(1)?;
    ensure!(asked(lab)?.is_empty(), "it was told twice");
    // What this computer remembered is lost: the source's bookmarks tell.
    lab.run("rm -rf /var/lib/zferry; date -s '+1 day'; zferry check")?.exits(1)?.says(
        "this computer remembers no complete run; the newest snapshot that t7 is known to have is 16 d old",
    )?;
    ensure!(asked(lab)?.len() == 1, "nobody was told");
    // And those are gone too: it counts from when it began to look.
    lab.run("zfs list -H -t bookmark -o name -r rpool | xargs -n 1 zfs destroy; zferry check")?
        .exits(0)?
        .says("looks after it for")?;
    lab.run("date -s '+15 days'; zferry check")?.exits(1)?.says("looks after it for 15 d")?;
    ensure!(asked(lab)?.len() == 1, "nobody was told");
    Ok(())
}
