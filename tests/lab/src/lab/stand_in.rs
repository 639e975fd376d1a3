//! A script in the place of one of ZFS's tools, where something has to happen just before a command, or an answer has to
//! be another one than the real tool would give.

use anyhow::Result;

use super::Lab;

impl Lab {
    /// From now on this script answers when somebody calls the tool. In it, `$real` is the real one.
    pub fn in_place_of(&mut self, tool: &str, script: &str) -> Result<()> {
        self.real_again(tool)?;
        // By its own name: zferry waits for the `zfs receive` of a run that was killed, and knows it by that.
        let real = format!("/run/lab/real/{tool}");
        self.write(&format!("/run/lab/{tool}"), format!("#!/bin/bash\nreal={real}\n{script}\n"))?;
        self.run(&format!(
            "set -e; mkdir -p /run/lab/real; path=$(readlink -f $(command -v {tool})); test -e {real} || cp $path {real}; \
             chmod +x /run/lab/{tool}; mount --bind /run/lab/{tool} $path"
        ))?
        .exits(0)?;
        Ok(())
    }

    /// The real tool is back.
    pub fn real_again(&mut self, tool: &str) -> Result<()> {
        // Others in the guest (the event daemon) may be running it at this moment.
        self.run(&format!(
            "path=$(readlink -f $(command -v {tool})); if findmnt $path >/dev/null; then umount --lazy $path; fi"
        ))?
        .exits(0)?;
        Ok(())
    }
}
