//! One stream is written to one file of a directory.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use super::super::archive::{self, Entry};
use super::super::send::{NotSaved, Order, Sender};
use super::Subject;
use crate::config::Stream;
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::{Base, Bytes, IvsetGuid, SnapshotName};
use crate::plan::saving::Saving;
use crate::report::text::duration;
use crate::stream::Manifest;

pub(super) struct Saver<'a> {
    pub(super) stream: &'a Stream,
    pub(super) env: &'a Environment<'a>,
    pub(super) sender: Sender<'a>,
}

impl Saver<'_> {
    /// Writes it, and gives it its name once it is whole.
    pub(super) fn save(
        &self,
        subject: &Subject<'_>,
        saving: &Saving,
        ivsets: &HashMap<SnapshotName, IvsetGuid>,
    ) -> Result<Entry, NotSaved> {
        let snapshot = subject.dataset.name.snapshot(&saving.snapshot.name);
        let snapshot = snapshot.map_err(|_| NotSaved::Other)?;
        let order = Order {
            ivset: ivsets.get(&snapshot).copied(),
            dataset: subject.dataset,
            snapshot,
            guid: saving.snapshot.guid,
            from: saving.from.as_ref().map(|base| (base.argument(), base.guid())),
            mode: self.stream.policy.send,
        };
        let estimate = self.sender.estimate(&order)?;
        let directory = &subject.directory;
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| NotSaved::File { path, source }
        };
        std::fs::create_dir_all(directory).map_err(unwritable(directory))?;
        self.announce(&order.snapshot, saving, estimate);
        let started = Instant::now();
        let (file, manifest) = self.sender.send(&order, directory, estimate)?;
        let path = archive::free_name(directory, &manifest);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = Manifest { file: name, ..manifest };
        archive::put(file, &path, &manifest).map_err(unwritable(&path))?;
        let (bytes, took) = (Bytes(manifest.bytes), duration(started.elapsed()));
        let text = format!("Saved {} as {}: {bytes} in {took}.", order.snapshot, path.display());
        self.env.sink.event(Event::Note { text });
        Ok(Entry { beside: archive::beside(&path), path, length: Some(manifest.bytes), manifest })
    }

    fn announce(&self, name: &SnapshotName, saving: &Saving, estimate: Bytes) {
        let what = match &saving.from {
            None => format!("a full stream ({})", saving.why),
            Some(Base::Snapshot(base)) => format!("an increment from @{}", base.name),
            Some(Base::Bookmark(base)) => format!("an increment from #{}", base.name),
        };
        let text = format!("Saving {name}: {what}, about {estimate}.");
        self.env.sink.event(Event::Note { text });
    }
}
