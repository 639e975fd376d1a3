use super::*;

fn last_run(outcome: Outcome) -> Option<LastRun> {
    let age = Duration::from_secs(3 * 86_400);
    Some(LastRun { at: "2026-11-18T20:14:00Z".parse().unwrap(), age, outcome })
}

fn known() -> DriveStatus {
    DriveStatus {
        name: "t7".to_owned(),
        connected: Connected::Yes { node: Some("/dev/sda1".into()), imported: false },
        last_success: Some(LastSuccess {
            at: "2026-11-18T20:14:00Z".parse().unwrap(),
            age: Duration::from_secs(3 * 86_400),
        }),
        last_run: last_run(Outcome::Complete),
        waiting: Some(Waiting { snapshots: 12, datasets: 5, bytes: Some(Bytes(312 << 20)) }),
        base: BaseState::Safe,
        capacity: Some(Capacity { used: Bytes(61), size: Bytes(100), age: Duration::ZERO, full_in: None }),
        last_scrub: Some(LastScrub {
            at: "2026-11-18T20:14:00Z".parse().unwrap(),
            age: Duration::from_secs(3 * 86_400),
            errors: 0,
        }),
        next_scrub: Some(Due::In { seconds: 27 * 86_400 }),
        last_rehearsal: None,
        next_rehearsal: None,
        paused: None,
    }
}

fn unknown() -> DriveStatus {
    DriveStatus {
        name: "offsite".to_owned(),
        connected: Connected::No,
        last_success: None,
        last_run: None,
        waiting: None,
        base: BaseState::Unknown,
        capacity: None,
        last_scrub: None,
        next_scrub: None,
        last_rehearsal: None,
        next_rehearsal: None,
        paused: None,
    }
}

fn troubled() -> DriveStatus {
    DriveStatus {
        name: "the-very-old-one".to_owned(),
        connected: Connected::Yes { node: Some("/dev/nvme0n1p1".into()), imported: true },
        last_run: last_run(Outcome::Interrupted),
        waiting: Some(Waiting { snapshots: 1234, datasets: 1000, bytes: None }),
        base: BaseState::Danger { why: "the bookmark is gone.".to_owned() },
        last_scrub: known().last_scrub.map(|scrub| LastScrub { errors: 2, ..scrub }),
        ..known()
    }
}

fn text(drives: &[DriveStatus]) -> String {
    table(drives).iter().map(|line| format!("{}\n", line.text)).collect()
}

#[test]
fn the_table_says_what_is_known_and_that_the_rest_is_unknown() {
    insta::assert_snapshot!(text(&[known(), unknown(), troubled()]), @r"
    DRIVE         CONNECTED  LAST SUCCESS  TO SEND         BASE       USED
    t7            yes, sda1  3 d ago       12, 312 MiB     safe       61 %
    offsite       no         unknown       unknown         unknown    unknown
    ..ry-old-one  imported   3 d ago       1234 snapshots  in danger  61 %
    t7: the last scrub, 3 d ago: it found nothing wrong. The next is due in 27 d.
    the-very-old-one: the last run, 3 d ago, was interrupted; the next one goes on from there.
    the-very-old-one: the last scrub, 3 d ago: it found damage; `zferry verify` tells again where. The next is due in 27 d.
    the-very-old-one: the base is in danger: the bookmark is gone.
    ");
}

#[test]
fn no_row_of_the_table_is_wider_than_80_columns() {
    let wide = DriveStatus {
        waiting: Some(Waiting { snapshots: usize::MAX, datasets: 1, bytes: None }),
        ..troubled()
    };
    for line in &table(&[known(), wide])[..3] {
        assert!(line.text.len() <= 80, "{}", line.text);
    }
}

#[test]
fn what_lies_ahead_is_told_where_it_is_known() {
    let capacity = |full_in: u64| {
        let full_in = Some(Duration::from_secs(full_in * 86_400));
        Some(Capacity { full_in, ..known().capacity.unwrap() })
    };
    let soon = DriveStatus { capacity: capacity(30), next_scrub: Some(Due::Now), ..known() };
    let never = DriveStatus { next_scrub: Some(Due::Now), ..unknown() };
    let later = DriveStatus { capacity: capacity(130), next_scrub: None, ..known() };
    let lines = table(&[soon, never, later]);
    let told: Vec<_> = lines.iter().skip(4).map(|line| format!("{:?} {}\n", line.tone, line.text)).collect();
    insta::assert_snapshot!(told.concat(), @r"
    Plain t7: the last scrub, 3 d ago: it found nothing wrong. One is due, and the next run does it.
    Warning t7: if it goes on as in the last runs, it is full in about 4 weeks.
    Plain offsite: no scrub is known of. One is due, and the next run does it.
    Plain t7: the last scrub, 3 d ago: it found nothing wrong.
    Plain t7: if it goes on as in the last runs, it is full in about 4 months.
    ");
}

#[test]
fn a_rehearsal_that_is_due_is_reminded_of_in_one_line() {
    let last = known().last_success;
    let later = Some(Due::In { seconds: 87 * 86_400 });
    let told = |last_rehearsal, next_rehearsal| {
        let drive =
            DriveStatus { last_rehearsal, next_rehearsal, last_scrub: None, next_scrub: None, ..known() };
        let lines = table(&[drive]);
        lines.iter().skip(2).map(|line| format!("{:?} {}", line.tone, line.text)).collect::<String>()
    };
    assert_eq!(told(last, None), "");
    assert_eq!(
        told(None, Some(Due::Now)),
        "Warning t7: nobody is known to have proved that the passphrase opens it. `zferry rehearse t7` does that."
    );
    assert_eq!(
        told(last, Some(Due::Now)),
        "Warning t7: that the passphrase opens it was last proved 3 d ago. `zferry rehearse t7` does that."
    );
    assert_eq!(
        told(last, later),
        "Plain t7: the passphrase was last rehearsed 3 d ago: it opens everything. The next time is due in 87 d."
    );
}

#[test]
fn without_drives_the_next_step_is_told() {
    assert_eq!(text(&[]), "No drive is configured; docs/configuration.md shows how.\n");
}

#[test]
fn machines_get_null_for_what_is_unknown() {
    let object: serde_json::Value = serde_json::from_str(&json(&[known(), unknown()]).unwrap()).unwrap();
    assert_eq!(object["v"], 1);
    assert_eq!(object["drives"][0]["last_success"]["age"], 259_200);
    assert_eq!(object["drives"][0]["connected"]["node"], "/dev/sda1");
    assert_eq!(object["drives"][0]["waiting"]["bytes"], 312 << 20);
    assert_eq!(object["drives"][0]["capacity"]["full_in"], serde_json::Value::Null);
    assert_eq!(object["drives"][0]["next_scrub"]["seconds"], 27 * 86_400);
    assert_eq!(object["drives"][1]["waiting"], serde_json::Value::Null);
    assert_eq!(object["drives"][1]["base"]["state"], "unknown");
}
