use super::*;
use crate::report::fixtures::one_of_each;

fn told(event: &Event, loudness: Loudness) -> String {
    lines(event, loudness).into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_event_is_told_in_calm_words() {
    for (event, text) in one_of_each() {
        assert_eq!(told(&event, Loudness::Normal), text);
        assert!(!text.contains('!'), "{text}");
    }
}

#[test]
fn only_trouble_and_the_truth_are_told_to_those_who_asked_for_quiet() {
    let starts = |text: &str| text.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let told: Vec<_> = one_of_each()
        .iter()
        .map(|(event, _)| told(event, Loudness::Quiet))
        .filter(|text| !text.is_empty())
        .map(|text| starts(&text))
        .collect();
    assert_eq!(
        told,
        [
            "“rpool/home” was left alone,",
            "“rpool/home” was not backed",
            "Warning: The pool is",
            "“backup” could not be",
            "Safe to unplug t7",
        ]
    );
}

#[test]
fn lengths_of_time_are_said_as_people_say_them() {
    let table = [
        (0, "0.1 s"),
        (449, "0.4 s"),
        (949, "0.9 s"),
        (950, "1 s"),
        (1_999, "1 s"),
        (72_000, "1 min 12 s"),
        (120_000, "2 min"),
        (7_500_000, "2 h 5 min"),
        (273_600_000, "3 d 4 h"),
    ];
    for (millis, said) in table {
        assert_eq!(duration(Duration::from_millis(millis)), said);
    }
}

#[test]
fn guesses_have_one_unit_and_six_columns() {
    let table = [
        (0, "0 s"),
        (99, "99 s"),
        (100, "1 min"),
        (5_999, "99 min"),
        (6_000, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ];
    for (seconds, said) in table {
        assert_eq!(roughly(Duration::from_secs(seconds)), said);
    }
    assert!(roughly(Duration::MAX).len() <= 6);
}

#[test]
fn progress_beyond_its_estimate_claims_no_share() {
    let target = crate::report::fixtures::target();
    let table = [
        (50, 200, "Sending to “backup/home”: 50 B of about 200 B (25 %)."),
        (200, 200, "Sending to “backup/home”: 200 B of about 200 B (100 %)."),
        (201, 200, "Sending to “backup/home”: 201 B."),
        (50, 0, "Sending to “backup/home”: 50 B."),
    ];
    for (sent, estimate, text) in table {
        assert_eq!(progress(&target, Bytes(sent), Bytes(estimate)).text, text);
    }
}
