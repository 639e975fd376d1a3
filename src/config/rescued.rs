//! The configuration as the drive's rescue file system gets it: what concerns this drive, each value written out, and no
//! secret. The comments stay where they are: what people note there is for this computer.

use super::file::{DriveFile, File};
use super::show::written_out;

/// Keys, of a drive and of whatever lies below them, that may hold a secret or are of use on this computer only.
const LEFT_OUT: [&str; 5] = ["alerts", "ping", "on-failure", "override", "luks-key-file"];

/// The lines for one drive. `{host}` would stand for another computer there.
pub(super) fn rescued(file: &File, drive: &DriveFile, text: &str, host: &str) -> String {
    let mut lines = vec![format!("[drives.{}]", drive.name.get_ref().as_key())];
    lines.extend(written_out(super::keys::DRIVE, &drive.written, text, &LEFT_OUT));
    for backup in super::resolve::merged(file, drive) {
        lines.push(format!("\n[backups.{}]", backup.name.get_ref().as_key()));
        lines.extend(written_out(super::keys::BACKUP, &backup.written, text, &LEFT_OUT));
    }
    lines.join("\n").replace("{host}", host) + "\n"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn it_is_the_configuration_of_this_drive_and_means_the_same() {
        let text = r#"
            # the passphrase is not 12345
            [drives.t7]
            pool = "t7"
            pool-guid = "7"
            rescue = true
            warn-after = "14d"
            [drives.t7.alerts]
            ping = "https://hc-ping.com/12345"
            on-failure = ["/root/12345"]
            [drives.t7.override.home]
            prune = "never"
            [drives."other.one"]
            pool = "other"
            pool-guid = "8"
            backups = ["vm"]
            [backups.home]
            source = "rpool/home"
            target = "{host}/home"
            prune = "mirror"
            [backups.vm]
            source = "rpool/vm"
            target = "vm"
            prune = "keep"
            keep = { daily = 30, weekly = 8 }
            protect = ["a b", 'c"d']
        "#;
        let path = Path::new("/etc/zferry/config.toml");
        let settings = crate::config::parse(text, path, "laptop").unwrap();
        let [t7, other] = &settings.drives[..] else { panic!() };
        assert_eq!(other.rescue, None);
        let rescued = t7.rescue.clone().unwrap();
        assert!(!rescued.contains("12345") && !rescued.contains("other"), "{rescued}");
        let again = crate::config::parse(&rescued, path, "other").unwrap();
        let [drive] = &again.drives[..] else { panic!("{rescued}") };
        assert_eq!(format!("{:?}", drive.backups), format!("{:?}", t7.backups), "{rescued}");
        assert_eq!((drive.guid, &drive.pool, drive.power_off), (t7.guid, &t7.pool, t7.power_off));
    }
}
