use serde_json::{Value, json};

use super::*;
use crate::report::fixtures::{Sheet, finished, one_of_each, output, progress, started};
use crate::report::{Channel, Loudness};

const SCHEMA: &str = include_str!("../../../docs/progress-v1.schema.json");

fn voice(machines: &Sheet, people: &Sheet) -> Json {
    let lines = Lines::new(Paper::new(people.clone()), output(Channel::Plain, Loudness::Quiet));
    Json::new(Paper::new(machines.clone()), lines)
}

#[test]
fn an_event_is_one_versioned_object_on_one_line() {
    let (machines, people) = (Sheet::default(), Sheet::default());
    let mut voice = voice(&machines, &people);
    for (event, _) in one_of_each() {
        voice.event(&event, Instant::now());
    }
    let text = machines.text();
    assert_eq!(text.lines().count(), one_of_each().len());
    for line in text.lines() {
        assert!(line.starts_with(r#"{"v":1,"event":""#), "{line}");
    }
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["unplug"], json!({"state": "safe", "powered_off": true}));
    assert_eq!(last["took"], json!(72.0));
    assert!(people.text().ends_with("Safe to unplug t7 (exported and powered off).\n"));
}

#[test]
fn progress_is_written_five_times_a_second_at_most() {
    let (machines, people) = (Sheet::default(), Sheet::default());
    let (mut voice, start) = (voice(&machines, &people), Instant::now());
    voice.event(&started(1000), start);
    for tick in 0..100 {
        voice.event(&progress(1), start + Duration::from_millis(tick * 10));
    }
    assert_eq!(machines.text().matches("send-progress").count(), 5);
}

#[test]
fn a_reader_who_left_is_mentioned_once_and_ends_nothing() {
    let (machines, people) = (Sheet::default(), Sheet::default());
    let mut voice = voice(&machines, &people);
    machines.close();
    voice.event(&started(10), Instant::now());
    voice.event(&finished(), Instant::now());
    assert_eq!(
        people.text(),
        "Warning: the JSON events cannot be written any more; the run goes on.\n\
         Safe to unplug t7 (exported and powered off).\n"
    );
}

/// The fields of each event in the schema and in the objects are the same: a new field must be documented.
#[test]
fn the_schema_knows_every_event_and_every_field() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for (event, _) in one_of_each() {
        let object: Value = serde_json::from_str(&object(&event).unwrap()).unwrap();
        let rule = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .find(|rule| rule["properties"]["event"]["const"] == object["event"])
            .unwrap_or_else(|| panic!("{} is not in the schema", object["event"]));
        assert_eq!(keys(&rule["properties"]), keys(&object), "{}", object["event"]);
        let required: Vec<_> =
            rule["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        let mut sorted = required.clone();
        sorted.sort();
        assert_eq!(sorted, keys(&object), "{}", object["event"]);
    }
}
