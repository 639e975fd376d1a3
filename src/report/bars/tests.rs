use std::sync::atomic::{AtomicU16, Ordering};

use super::*;
use crate::model::Guid;
use crate::report::fixtures::{Sheet, finished, one_of_each, output, progress, started, target};
use crate::report::terminal::Size;
use crate::report::{Channel, Colour, Loudness};

mod screen;
use screen::Screen;

fn size<const COLUMNS: u16>() -> Option<Size> {
    Some(Size { rows: 24, columns: COLUMNS })
}

fn bars(screen: &Screen, size: fn() -> Option<Size>) -> Bars {
    let output = Output { colour: Colour::Ansi, ..output(Channel::Terminal, Loudness::Normal) };
    Bars::new(Terminal::new(screen.clone(), size), output)
}

fn drive() -> Event {
    Event::DriveStarted { drive: "t7".to_owned(), pool: "backup".parse().unwrap(), guid: Guid(1190) }
}

fn planned() -> Event {
    Event::Planned { datasets: 2, up_to_date: 3, snapshots: 12, estimate: Bytes(200 << 20) }
}

fn note(text: &str) -> Event {
    Event::Note { text: text.to_owned() }
}

/// Half a run: both bars are on the screen.
fn half_a_run(bars: &mut Bars) -> Instant {
    let start = Instant::now();
    for event in [drive(), planned(), started(100), progress(10)] {
        bars.event(&event, start);
    }
    let later = start + Duration::from_secs(1);
    bars.event(&progress(50), later);
    // Drawing is paced by the real clock; a sentence forces one.
    bars.event(&note("Something."), later);
    later
}

#[test]
fn a_bar_for_each_stream_stands_above_the_total_and_sentences_above_both() {
    let screen = Screen::new(80);
    let mut bars = bars(&screen, size::<80>);
    half_a_run(&mut bars);
    let lines = screen.lines();
    let [.., note, stream, total] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(note, "Something.");
    assert!(stream.starts_with("backup/home ") && stream.contains(" 50 %  50.0 MiB of  100 MiB"), "{stream}");
    assert!(total.starts_with("in total ") && total.contains(" 25 %  50.0 MiB of  200 MiB"), "{total}");
}

#[test]
fn after_a_drive_the_bars_are_gone_and_the_last_line_is_the_truth_at_40_columns() {
    let screen = Screen::new(40);
    let mut bars = bars(&screen, size::<40>);
    let now = half_a_run(&mut bars);
    assert!(screen.lines().iter().any(|line| line.starts_with("in total")), "{:?}", screen.lines());
    bars.event(&finished(), now);
    bars.tick(now + Duration::from_secs(60));
    let seen = screen.lines();
    let last = seen.iter().rposition(|line| line.starts_with("Safe to unplug t7")).unwrap();
    assert_eq!(
        seen[last..],
        ["Safe to unplug t7 (exported and powered ", "off)."].map(str::trim_end),
        "{seen:?}"
    );
    assert!(seen.iter().all(|line| !line.contains('%')), "{seen:?}");
    drop(bars);
    assert_eq!(screen.lines(), seen);
}

#[test]
fn nothing_is_drawn_before_a_quarter_of_a_second() {
    let screen = Screen::new(80);
    let mut bars = bars(&screen, size::<80>);
    let start = Instant::now();
    for event in [drive(), planned(), started(100), progress(90), note("Something.")] {
        bars.event(&event, start + Duration::from_millis(249));
    }
    assert!(screen.lines().iter().all(|line| !line.contains('%')), "{:?}", screen.lines());
    bars.tick(start + Duration::from_millis(500));
    assert_eq!(screen.lines().iter().filter(|line| line.contains('%')).count(), 2, "{:?}", screen.lines());
}

#[test]
fn a_narrower_window_is_used_at_once() {
    static COLUMNS: AtomicU16 = AtomicU16::new(120);
    let screen = Screen::new(120);
    let mut bars = bars(&screen, || Some(Size { rows: 24, columns: COLUMNS.load(Ordering::Relaxed) }));
    let now = half_a_run(&mut bars);
    bars.event(&note("Wide."), now);
    COLUMNS.store(40, Ordering::Relaxed);
    screen.resize(40);
    bars.event(&note("Narrow."), now);
    // The first bar that is drawn anew repeats the other as it was; from then on nothing wraps.
    let wraps = screen.wraps();
    bars.event(&note("Still narrow."), now);
    let lines = screen.lines();
    let [.., note, stream, total] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(note, "Still narrow.");
    assert!(stream.starts_with("backup/home") && stream.chars().count() < 40, "{stream}");
    assert!(total.starts_with("in total") && total.chars().count() < 40, "{total}");
    assert_eq!(screen.wraps(), wraps);
}

#[test]
fn a_stream_that_ends_makes_the_total_exact() {
    let screen = Screen::new(80);
    let mut bars = bars(&screen, size::<80>);
    let now = half_a_run(&mut bars);
    let sent = Bytes(60 << 20);
    bars.event(&Event::SendFinished { target: target(), sent, took: Duration::from_secs(1) }, now);
    bars.event(&note("Next."), now);
    let lines = screen.lines();
    // 60 MiB instead of the 100 that were expected: 60 of 160.
    assert!(lines.last().unwrap().contains(" 37 %  60.0 MiB of  160 MiB"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.starts_with("backup/home")), "{lines:?}");
}

#[test]
fn a_stream_that_begins_again_and_a_plan_made_anew_have_one_bar_each() {
    let screen = Screen::new(80);
    let mut bars = bars(&screen, size::<80>);
    let now = half_a_run(&mut bars);
    for event in [planned(), started(100), started(200), note("Again.")] {
        bars.event(&event, now);
    }
    let lines = screen.lines();
    let [.., note, stream, total] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(note, "Again.");
    assert!(stream.starts_with("backup/home ") && stream.contains("  0 % "), "{stream}");
    assert!(total.starts_with("in total ") && total.contains(" 50.0 MiB of  250 MiB"), "{total}");
    assert_eq!(lines.iter().filter(|line| line.contains(" % ")).count(), 2, "{lines:?}");
}

#[test]
fn a_second_drive_ends_with_its_own_last_line() {
    let screen = Screen::new(80);
    let mut bars = bars(&screen, size::<80>);
    for _ in 0..2 {
        let now = half_a_run(&mut bars);
        bars.event(&finished(), now);
        assert!(screen.lines().last().unwrap().starts_with("Safe to unplug t7"));
    }
    assert_eq!(screen.lines().iter().filter(|line| line.starts_with("Safe to unplug")).count(), 2);
}

#[test]
fn a_terminal_that_was_closed_ends_nothing() {
    let sheet = Sheet::default();
    sheet.close();
    let output = output(Channel::Terminal, Loudness::Normal);
    let mut bars = Bars::new(Terminal::new(sheet, || None), output);
    for (event, _) in one_of_each() {
        bars.event(&event, Instant::now() + Duration::from_secs(1));
        bars.tick(Instant::now() + Duration::from_secs(2));
    }
}
