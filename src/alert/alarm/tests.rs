use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::event::{Fault, ImportHow, Unplug};
use crate::model::{Bytes, Guid};

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Sink for Heard {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A server that says this to everybody, and tells first lines.
fn server(status: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, lines) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if told.send(line).is_err() {
                return;
            }
        }
    });
    (port, lines)
}

fn summary(interrupted: bool) -> Summary {
    Summary {
        drive: "t7".to_owned(),
        done: 1,
        failed: 0,
        warnings: 0,
        snapshots: 0,
        pruned: 0,
        sent: Bytes(0),
        took: Duration::from_secs(1),
        interrupted,
        unplug: Unplug::Safe { powered_off: true },
        fault: Fault::None,
    }
}

/// What a run with these events does. Placeholders in the address: no library has to read the requests.
fn run(alerts: &Alerts, events: Vec<Event>) -> Vec<Event> {
    let heard = Heard::default();
    let about = About::Drive { pool: "backup".parse().unwrap(), guid: Guid(7) };
    let subject = Subject { name: "t7", about, host: "laptop", alerts };
    let alarm = Alarm::of_run(subject, &heard);
    events.into_iter().for_each(|event| alarm.event(event));
    drop(alarm);
    heard.0.into_inner().unwrap()
}

fn pinging(port: u16) -> Alerts {
    let ping = format!("get:http://127.0.0.1:{port}/{{event}}").parse().unwrap();
    Alerts { ping: Some(ping), ..Alerts::default() }
}

fn imported() -> Event {
    Event::Imported { pool: "backup".parse().unwrap(), how: ImportHow::Fresh }
}

fn lost() -> [Event; 2] {
    let lost = Event::Lost { drive: "t7".to_owned(), why: "pulled".to_owned(), attached: false };
    [lost, Event::Waiting { drive: "t7".to_owned(), seconds: Some(600) }]
}

fn asked(lines: &Receiver<String>) -> Vec<String> {
    let word = |line: String| line.trim_start_matches("GET /").split(' ').next().unwrap().to_owned();
    lines.try_iter().map(word).collect()
}

#[test]
fn a_monitor_hears_of_the_start_and_the_end_once() {
    let (port, lines) = server("200 OK");
    let heard = run(&pinging(port), vec![imported(), imported(), Event::DriveFinished(summary(false))]);
    assert_eq!(asked(&lines), ["start", "success"]);
    assert_eq!(heard.len(), 3);
    // Stopped: the address of a template has no word for it.
    run(&pinging(port), vec![imported(), Event::DriveFinished(summary(true))]);
    assert_eq!(asked(&lines), ["start"]);
}

#[test]
fn a_drive_that_is_waited_for_in_mid_run_is_told_of_at_once_and_only_once() {
    let (port, lines) = server("200 OK");
    let mut events = vec![imported()];
    events.extend(lost());
    events.extend(lost());
    events.push(Event::DriveFinished(summary(false)));
    run(&pinging(port), events);
    assert_eq!(asked(&lines), ["start", "failure", "success"]);
    // Waiting for a drive that is not there yet is no failure.
    run(&pinging(port), lost()[1..].to_vec());
    assert!(asked(&lines).is_empty());
}

#[test]
fn what_was_not_told_is_a_warning_before_the_last_event_and_is_counted() {
    let (port, _lines) = server("404 No");
    let alerts = Alerts { on_success: vec!["/nonexistent/x".to_owned()], ..pinging(port) };
    let heard = run(&alerts, vec![imported(), Event::DriveFinished(summary(false))]);
    let warnings: Vec<_> = heard
        .iter()
        .filter_map(|event| match event {
            Event::Warning { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        warnings,
        [
            "The monitor of t7 was not told “start”: 127.0.0.1 answers with status 404.",
            "The monitor of t7 was not told “success”: 127.0.0.1 answers with status 404.",
            "The program of `on-success`, /nonexistent/x, did not do it: `/nonexistent/x` could not be started: there is no such program.",
        ]
    );
    let Some(Event::DriveFinished(last)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!(last.warnings, 3);
}

#[test]
fn the_log_that_is_kept_is_the_end_of_it() {
    let mut desk = Desk::default();
    for number in 0..5000 {
        desk.write_down(&Event::Note { text: format!("line {number}") });
    }
    let kept: usize = desk.log.iter().map(|line| line.len() + 1).sum();
    assert!(kept == desk.length && kept <= MOST, "{kept}");
    assert_eq!(desk.log.back().map(String::as_str), Some("line 4999"));
}
