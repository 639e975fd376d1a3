//! The package for Debian: installed, upgraded in mid-run, removed, purged.

use anyhow::Result;

use super::Scenario;
use super::plugged::{RUN, until_told};
use super::session::{arrived, much};
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "the package makes plugging in enough, is upgraded during a run, and leaves when it is purged",
            from_install_to_purge,
        )
        .packaged(),
    ]
}

fn from_install_to_purge(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    // The lab's own copy would come first in the path.
    lab.run("rm /usr/local/bin/zferry; dpkg -i --path-include=/usr/share/man/* --path-include=/usr/share/doc/* /root/packages/zferry-old.deb")?.exits(0)?;
    lab.run("dpkg-query -W -f '${Version} ${db:Status-Abbrev}' zferry")?.prints("0.0.1-1 ii")?;
    lab.run(
        "set -e; zferry --version; test -d /run/zferry; test -s /usr/share/man/man1/zferry-run.1.gz; \
         systemd-analyze verify --man=no /usr/lib/systemd/system/zferry@.service; \
         zferry --config /usr/share/doc/zferry/examples/config.toml config check; \
         grep -q ^ExecStart=/usr/bin/zferry /usr/lib/systemd/user/zferry-notify.service; \
         test -s /usr/share/bash-completion/completions/zferry; test -s /usr/share/zsh/vendor-completions/_zferry; \
         test -s /usr/share/fish/vendor_completions.d/zferry.fish",
    )?
    .exits(0)?;
    lab.run("systemctl is-active zferry-check.timer; systemctl start zferry-check.service")?
        .exits(0)?
        .prints("active")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let unit = format!("zferry@{guid}.service");
    lab.wait_until("it sends", RUN, &format!("systemctl show -P StatusText {unit} | grep '^Sending: '"))?;
    let pid = lab.run(&format!("systemctl show -P MainPID {unit}"))?.stdout();
    lab.run("dpkg -i /root/packages/zferry.deb && systemctl daemon-reload")?.exits(0)?;
    lab.run(&format!("systemctl show -P MainPID {unit}"))?.prints(pid.trim())?;
    until_told(lab, guid, 1, "Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    arrived(lab, &t7)?;
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    // What is removed starts nothing any more, and what is remembered stays until the purge.
    lab.run("dpkg -r zferry && test -e /var/lib/zferry/t7.json && ! test -e /usr/lib/udev/rules.d/90-zferry.rules")?
        .exits(0)?;
    // Debian keeps the link that enables it until the purge; without a unit it does nothing.
    lab.run("systemctl list-timers | grep zferry")?.exits(1)?;
    lab.run("systemctl is-active zferry-check.timer")?.prints("inactive")?;
    lab.plug(&t7)?;
    lab.run("udevadm settle; systemctl daemon-reload; sleep 3")?.exits(0)?;
    lab.not_imported("backup")?;
    lab.run("dpkg -P zferry; ! test -e /var/lib/zferry && test -e /etc/zferry/config.toml")?.exits(0)?;
    lab.run(
        "find / -xdev -name '*zferry*' -not -name 'zferry-lab*' -not -path '/proc/*' -not -path '/run/*' \
         -not -path '/root/*' -not -path '/usr/local/*'",
    )?
    .prints("/etc/zferry")?;
    Ok(())
}
