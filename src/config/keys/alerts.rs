//! The keys that say who is told.

use super::Absent::{Described, Means};
use super::Kind::{Secret, Text, Texts};
use super::{Key, key};

/// In `[drives.NAME.alerts]`.
pub const ALERTS: &[Key] = &[
    key(
        "ping",
        Secret,
        "\"file:/etc/zferry/ping-t7\"",
        Described("none"),
        "The address of a monitor at healthchecks.io, Cronitor or elsewhere, or `file:` and the path of a file whose first line is one. It is a secret, and zferry never shows it.",
    ),
    key(
        "on-start",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "A program and its arguments, run as root and without a shell when a run has found the drive.",
    ),
    key(
        "on-success",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "The same when a run was complete.",
    ),
    key(
        "on-failure",
        Texts,
        "[\"/usr/local/bin/tell-me\"]",
        Means("[]"),
        "The same when a run was not complete, when the drive was pulled out and is waited for, and when `zferry check` finds it overdue.",
    ),
    key(
        "metrics",
        Text,
        "\"/var/lib/prometheus/node-exporter\"",
        Described("none"),
        "A directory that exists, in which each run writes its numbers to `zferry_NAME.prom`, for the textfile collector of Prometheus' node_exporter.",
    ),
];
