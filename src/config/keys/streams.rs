//! The keys of `[streams.NAME]`.

use super::Absent::{Described, Means, Refused};
use super::Kind::{Flag, Secret, Table, Text, Texts};
use super::{Key, key};

/// In `[streams.NAME]`.
pub const STREAM: &[Key] = &[
    key("source", Text, "\"pool1/diary-entries\"", Refused, "The dataset that is saved."),
    key(
        "directory",
        Text,
        "\"/mnt/pool1/secure-backups\"",
        Refused,
        "Where the files are put, each dataset's in a directory of its own: an absolute path. It has to be there already, so that nothing is written beside a disk that is not mounted.",
    ),
    key(
        "recursive",
        Flag,
        "false",
        Means("true"),
        "Save the datasets below the source too, each to files of its own.",
    ),
    key(
        "exclude",
        Texts,
        "[\"videos\", \"*/cache\"]",
        Means("[]"),
        "Patterns for datasets that are left out, as in a backup.",
    ),
    key(
        "snapshot",
        Text,
        "\"existing\"",
        Means("\"take\""),
        "`take`: a snapshot of all datasets that changed is taken, at one moment, and the one before it removed once its successor was saved. `existing`: the newest one that there is.",
    ),
    key(
        "snapshots",
        Table,
        "{ include = [\"autosnap_*_daily\"] }",
        Described("all"),
        "With `snapshot = \"existing\"`: patterns for the names of snapshots that may be saved.",
    ),
    key(
        "send",
        Text,
        "\"plain\"",
        Means("\"raw\""),
        "`raw`: as encrypted as it lies on the disk; no key is needed. `plain`: decrypted, so that whoever has the files can read them.",
    ),
    key(
        "allow-plaintext",
        Flag,
        "true",
        Means("false"),
        "Datasets that are not encrypted may be saved, readable by anyone who has the files.",
    ),
    key(
        "full",
        Text,
        "\"30d\"",
        Means("\"monthly\""),
        "When a stream is a full one again: `weekly`, `monthly` or `yearly` (the first of each), when the last full one is older than a length of time, `every 10` (each tenth stream), or `never` (only the first).",
    ),
    key(
        "base",
        Text,
        "\"chain\"",
        Means("\"full\""),
        "What the others build on. `full`: the last full one, so that two files make any state, and no increment needs another. `chain`: the one before, which is smaller, and of which none may be lost.",
    ),
    key(
        "keep",
        Table,
        "{ last = 10, monthly = 12 }",
        Described("all"),
        "How many streams of each age are kept, by the rules of a backup's `keep`, each with those that it needs. The others are removed at the end of each `zferry stream save` that succeeds, and by `zferry stream prune`.",
    ),
    key(
        "ping",
        Secret,
        "\"file:/etc/zferry/ping-diary\"",
        Described("nobody is told"),
        "The address of a monitor that is told how `zferry stream save` went, as in `[drives.NAME.alerts]`.",
    ),
    key(
        "on-start",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "Program and arguments, run at the beginning.",
    ),
    key(
        "on-success",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "The same, when all of it was saved.",
    ),
    key(
        "on-failure",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "The same, when something was not.",
    ),
];
