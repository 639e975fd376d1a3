use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::*;

/// One request: its first line and its body.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    format!("{} {}", first.trim(), String::from_utf8(body).unwrap())
}

/// A server that gives these answers, one a connection, and tells what it was asked.
fn server(answers: &'static [&'static str]) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            asked.push(read_request(&stream));
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
        }
        asked
    });
    (port, thread)
}

fn post(port: u16) -> Request {
    Request { url: format!("http://127.0.0.1:{port}/secret?rid=5"), body: Some("all is well".to_owned()) }
}

#[test]
fn what_is_sent_arrives_and_one_that_fails_for_the_moment_is_tried_again() {
    let (port, thread) = server(&["500 Oh", "200 OK"]);
    let sent = send("127.0.0.1", &post(port), Haste::Some, &AtomicBool::new(true));
    assert!(sent.is_ok(), "{sent:?}");
    let line = "POST /secret?rid=5 HTTP/1.1 all is well".to_owned();
    assert_eq!(thread.join().unwrap(), [line.clone(), line]);
    let (port, thread) = server(&["204 No Content"]);
    let get = Request { body: None, ..post(port) };
    assert!(send("127.0.0.1", &get, Haste::Some, &AtomicBool::new(true)).is_ok());
    assert_eq!(thread.join().unwrap(), ["GET /secret?rid=5 HTTP/1.1 "]);
}

#[test]
fn a_redirection_is_not_followed_and_nothing_of_the_address_is_told() {
    for (answer, told) in [
        (
            &["302 Found\r\nLocation: http://127.0.0.1:1/secret"][..],
            "answers with status 302, a redirection, which is not followed",
        ),
        (&["404 Not Found"][..], "answers with status 404"),
    ] {
        let (port, thread) = server(answer);
        let error = send("127.0.0.1", &post(port), Haste::Some, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(error.to_string(), format!("127.0.0.1 {told}"));
        assert!(!format!("{error:?}").contains("secret"));
        thread.join().unwrap();
    }
}

#[test]
fn one_that_is_down_or_never_answers_keeps_nobody_waiting_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (started, ending) = (Instant::now(), AtomicBool::new(false));
    let silent = send("127.0.0.1", &post(port), Haste::Some, &ending).unwrap_err();
    assert_eq!(silent.to_string(), "127.0.0.1: there was no answer in time");
    assert!(started.elapsed() < AT_THE_END + Duration::from_secs(2), "{:?}", started.elapsed());
    drop(listener);
    let ending = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ending);
    let started = Instant::now();
    let patient = std::thread::spawn(move || send("127.0.0.1", &post(port), Haste::Little, &end));
    std::thread::sleep(Duration::from_millis(1500));
    ending.store(true, Ordering::Relaxed);
    let down = patient.join().unwrap().unwrap_err();
    assert_eq!(down.to_string(), "127.0.0.1: connection refused");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn an_address_stands_in_a_file_that_others_had_better_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ping");
    let ping = Ping::File(path.clone());
    assert!(matches!(address(&ping), Err(NotSent::File { .. })));
    std::fs::write(&path, "\n https://hc-ping.com/secret \nmore\n").unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (address, warning) = address(&ping).unwrap();
        assert_eq!((address.host(), warning.is_some()), ("hc-ping.com", warned), "{mode:o}");
    }
    std::fs::write(&path, "secret\n").unwrap();
    let error = address(&ping).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("\"secret"), "{error:?}");
    assert!(error.to_string().contains("is no address that begins with"), "{error}");
    assert!(matches!(address(&Ping::File(directory.path().to_owned())), Err(NotSent::File { .. })));
}
