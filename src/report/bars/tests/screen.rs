//! A terminal in memory: just enough to see what a user would see.

use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<Grid>>);

struct Grid {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    width: usize,
    escape: Option<String>,
    /// How often text ran over the right edge.
    wraps: usize,
}

impl Screen {
    pub(super) fn new(width: usize) -> Self {
        let grid = Grid { rows: vec![Vec::new()], row: 0, column: 0, width, escape: None, wraps: 0 };
        Self(Arc::new(Mutex::new(grid)))
    }

    pub(super) fn resize(&self, width: usize) {
        self.0.lock().unwrap().width = width;
    }

    pub(super) fn wraps(&self) -> usize {
        self.0.lock().unwrap().wraps
    }

    /// What is visible, without blanks at the ends.
    pub(super) fn lines(&self) -> Vec<String> {
        let grid = self.0.lock().unwrap();
        let mut lines: Vec<String> =
            grid.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}

impl Grid {
    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.down(1),
            '\x1b' => self.escape = Some(String::new()),
            c => {
                if self.column >= self.width {
                    // Blanks that fill a line to its end are how indicatif begins the next one.
                    self.wraps += usize::from(c != ' ' && self.rows[self.row].last() != Some(&' '));
                    self.column = 0;
                    self.down(1);
                }
                let row = &mut self.rows[self.row];
                row.resize(row.len().max(self.column + 1), ' ');
                row[self.column] = c;
                self.column += 1;
            }
        }
    }

    fn down(&mut self, count: usize) {
        self.row += count;
        let rows = self.rows.len().max(self.row + 1);
        self.rows.resize(rows, Vec::new());
    }

    fn obey(&mut self, sequence: &str) {
        let (count, letter) = sequence.trim_start_matches('[').split_at(sequence.len() - 2);
        let count = count.parse().unwrap_or(1);
        match letter {
            "A" => self.row = self.row.saturating_sub(count),
            "B" => self.down(count),
            "C" => self.column += count,
            "D" => self.column = self.column.saturating_sub(count),
            "K" => self.rows[self.row].clear(),
            "m" => {}
            other => panic!("this terminal does not know {other:?}"),
        }
    }
}

impl io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut grid = self.0.lock().unwrap();
        for c in std::str::from_utf8(bytes).unwrap().chars() {
            match grid.escape.take() {
                None => grid.put(c),
                Some(sequence) if c.is_ascii_alphabetic() => grid.obey(&format!("{sequence}{c}")),
                Some(sequence) => grid.escape = Some(format!("{sequence}{c}")),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
