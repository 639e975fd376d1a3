//! What is told, as a request of the kind that a monitor understands. Pure.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::told::{Moment, Told, cut};
use crate::model::{Address, Service};

/// The longest message that Cronitor takes.
const CRONITOR_MESSAGE: usize = 2000;

/// A request. Its address is a secret: there is no `Debug` for it (S17).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// What is posted; nothing: it is fetched.
    pub body: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes)", self.body.as_ref().map_or(0, String::len))
    }
}

/// What a monitor is asked; nothing where it has no word for that moment.
pub fn request(address: &Address, told: &Told) -> Option<Request> {
    match address.service {
        Service::Healthchecks => Some(healthchecks(address.url(), told)),
        Service::Cronitor => cronitor(address.url(), told),
        // A run that was stopped is neither of the things that such a monitor was set up for.
        Service::Get | Service::Post if told.moment == Moment::Stopped => None,
        Service::Get => Some(Request { url: filled(address.url(), told), body: None }),
        Service::Post => {
            let body = Some(told.message.clone());
            Some(Request { url: filled(address.url(), told), body })
        }
    }
}

/// `/start`, nothing, `/fail`, `/log`; the same `rid` for all of one run.
fn healthchecks(url: &str, told: &Told) -> Request {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let end = match told.moment {
        Moment::Start => "/start",
        Moment::Success => "",
        Moment::Failure | Moment::Overdue => "/fail",
        Moment::Stopped => "/log",
    };
    let run = told.run.map(|run| format!("rid={run}"));
    let query: Vec<String> = query.map(str::to_owned).into_iter().chain(run).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{}{end}{mark}{}", path.trim_end_matches('/'), query.join("&"));
    let body = if told.moment == Moment::Start { told.message.clone() } else { told.body() };
    Request { url, body: Some(body) }
}

/// `state=run`, `complete` or `fail`; the same `series` for all of one run.
fn cronitor(url: &str, told: &Told) -> Option<Request> {
    let state = match told.moment {
        Moment::Start => "run",
        Moment::Success => "complete",
        Moment::Failure | Moment::Overdue => "fail",
        Moment::Stopped => return None,
    };
    let message = encoded(cut(&told.message, CRONITOR_MESSAGE));
    let mut query = format!("state={state}&message={message}&host={}", encoded(&told.host));
    if let Some(run) = told.run {
        query += &format!("&series={run}");
        if told.moment != Moment::Start {
            query += &format!("&metric=duration:{}", told.took.as_secs());
        }
    }
    let mark = if url.contains('?') { '&' } else { '?' };
    Some(Request { url: format!("{url}{mark}{query}"), body: None })
}

/// A template with what it asks for.
fn filled(url: &str, told: &Told) -> String {
    let seconds = told.took.as_secs().to_string();
    // The message last: what looks like a placeholder in it stays, since the others have had their turn.
    let values = [
        ("{event}", told.moment.word()),
        ("{drive}", &told.name),
        ("{stream}", &told.name),
        ("{host}", &told.host),
        ("{seconds}", &seconds),
        ("{message}", &told.message),
    ];
    values.iter().fold(url.to_owned(), |url, (name, value)| url.replace(name, &encoded(value)))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::told;
    use super::*;

    const RUN: &str = "00000000-0000-0000-0000-000000000005";
    const ALL: [Moment; 5] =
        [Moment::Start, Moment::Success, Moment::Failure, Moment::Stopped, Moment::Overdue];

    fn asked(address: &str, moment: Moment) -> Option<(String, Option<String>)> {
        let address = address.parse().unwrap();
        request(&address, &told(moment)).map(|request| (request.url, request.body))
    }

    #[test]
    fn healthchecks_gets_a_path_for_each_moment_and_the_run() {
        let ends = ["/start", "", "/fail", "/log", "/fail"];
        for (moment, end) in ALL.into_iter().zip(ends) {
            let (url, body) = asked("https://hc-ping.com/5c7b", moment).unwrap();
            assert_eq!(url, format!("https://hc-ping.com/5c7b{end}?rid={RUN}"), "{moment:?}");
            assert_eq!(body.unwrap().contains("\n\none\ntwo\n"), moment != Moment::Start);
            let (url, _) = asked("https://hc-ping.com/key/t7/?create=1", moment).unwrap();
            assert_eq!(url, format!("https://hc-ping.com/key/t7{end}?create=1&rid={RUN}"));
        }
        let about_none = Told { run: None, ..told(Moment::Overdue) };
        let address = "https://hc-ping.com/5c7b".parse().unwrap();
        assert_eq!(request(&address, &about_none).unwrap().url, "https://hc-ping.com/5c7b/fail");
    }

    #[test]
    fn cronitor_gets_state_message_series_and_duration() {
        let message = "t7%3A%20all%20is%20well%20%26%20%E2%80%9Cgood%E2%80%9D%2E";
        let about = format!("message={message}&host=laptop&series=");
        for (moment, state, metric) in [
            (Moment::Start, "run", ""),
            (Moment::Success, "complete", "&metric=duration:72"),
            (Moment::Failure, "fail", "&metric=duration:72"),
            (Moment::Overdue, "fail", "&metric=duration:72"),
        ] {
            let (url, body) = asked("https://cronitor.link/p/key/t7", moment).unwrap();
            let run = "00000000-0000-0000-0000-000000000005";
            assert_eq!(url, format!("https://cronitor.link/p/key/t7?state={state}&{about}{run}{metric}"));
            assert_eq!(body, None);
            let (url, _) = asked("https://cronitor.link/p/key/t7?env=home", moment).unwrap();
            assert!(url.contains("t7?env=home&state="), "{url}");
        }
        assert_eq!(asked("https://cronitor.link/p/key/t7", Moment::Stopped), None);
    }

    #[test]
    fn a_template_gets_what_it_asks_for_and_nothing_of_a_run_that_was_stopped() {
        let template = "post:https://ntfy.sh/x?title={drive}+{event}&m={message}&s={seconds}";
        let (url, body) = asked(template, Moment::Failure).unwrap();
        assert_eq!(
            url,
            "https://ntfy.sh/x?title=t7+failure&m=t7%3A%20all%20is%20well%20%26%20%E2%80%9Cgood%E2%80%9D%2E&s=72"
        );
        assert_eq!(body.as_deref(), Some("t7: all is well & “good”."));
        assert_eq!(
            asked("get:http://a.example/{event}", Moment::Start),
            Some(("http://a.example/start".to_owned(), None))
        );
        assert_eq!(asked("get:http://a.example/{event}", Moment::Stopped), None);
        let odd = Told { message: "{event}&x=1\n".to_owned(), ..told(Moment::Start) };
        let address = "get:http://a.example/?m={message}".parse().unwrap();
        assert_eq!(request(&address, &odd).unwrap().url, "http://a.example/?m=%7Bevent%7D%26x%3D1%0A");
    }
}
