//! Data on the drive that ZFS knows to be damaged. It keeps nothing from being backed up: a copy with one bad file is
//! worth more than none. It is told in every run until it is gone.

use crate::event::Event;
use crate::plan::Afterwards;
use crate::process::printable;
use crate::report::text::count;

use super::{Host, Session};

impl Session {
    /// Tells of damage that was there when the session began, and still is after the work: what was only left from a
    /// receive that was cut off went when that was finished.
    pub fn tell_damage(&self, host: &Host<'_>, afterwards: &Afterwards<'_>) {
        if !self.damaged {
            return;
        }
        // A drive that does not answer is told of by others.
        let Ok(Some(counted)) = host.client.status(&self.pool).map(|status| status.damage) else { return };
        let named = host.client.damage(&self.pool).unwrap_or_default();
        let named = match named.as_slice() {
            [] => String::new(),
            [one] => format!(" ({})", printable(one)),
            [first, others @ ..] => format!(" ({} and {} more)", printable(first), others.len()),
        };
        let pool = &self.pool;
        let look = afterwards.on_drive(pool, &format!("zpool scrub -w {pool} && zpool status -v {pool}"));
        let text = format!(
            "ZFS counts {} on the drive{named}. That may be left from a time when it was pulled out; or what is damaged cannot be restored from it. A scrub tells: `{look}`. What was sent now is not affected.",
            in_words(&counted)
        );
        host.sink.event(Event::Warning { text });
    }
}

/// ZFS says `1 data errors`.
fn in_words(counted: &str) -> String {
    let number = counted.split(' ').next().and_then(|number| number.parse().ok());
    number.map_or("damaged data".to_owned(), |number| count(number, "data error"))
}
