//! A terminal that forgives. indicatif's own one reports errors, and `MultiProgress::suspend` panics on them: closing
//! the window in the middle of a run would end the backup.

use std::io;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use super::paper::Paper;

/// Narrower than this nothing can be shown, and indicatif's arithmetic needs some room.
const MIN_COLUMNS: u16 = 10;

/// Where bars and lines are drawn. Clones share the screen.
#[derive(Clone)]
pub(super) struct Terminal {
    shared: Arc<Mutex<Shared>>,
    size: fn() -> Option<Size>,
}

/// Rows and columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Lines on the screen.
    pub(super) rows: u16,
    /// Characters in a line.
    pub(super) columns: u16,
}

struct Shared {
    paper: Paper,
    // One drawing is one write: fewer system calls, and no half-drawn bar.
    pending: Vec<u8>,
}

impl Terminal {
    /// The terminal on stderr.
    pub(super) fn stderr() -> Self {
        Self::new(io::stderr(), || {
            let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
            Some(Size { rows: size.ws_row, columns: size.ws_col })
        })
    }

    /// A terminal that gets `out` and is as large as `size` says whenever it is asked.
    pub(super) fn new(out: impl Write + Send + 'static, size: fn() -> Option<Size>) -> Self {
        let shared = Shared { paper: Paper::new(out), pending: Vec::new() };
        Self { shared: Arc::new(Mutex::new(shared)), size }
    }

    /// Writes one whole line. The bars must have been cleared (`MultiProgress::suspend`).
    pub(super) fn line(&self, text: &str) {
        // Not `Paper::line`: lines and bars share one cursor, and a torn bar is cleared, not ended.
        self.push(&format!("{text}\r\n"));
        self.send();
    }

    fn push(&self, text: &str) {
        self.lock().pending.extend_from_slice(text.as_bytes());
    }

    fn send(&self) {
        let mut shared = self.lock();
        let pending = std::mem::take(&mut shared.pending);
        shared.paper.raw(&pending);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Bytes waiting to be drawn are never half a state.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // A serial line says that it has 0 columns.
    fn size(&self) -> Size {
        let Size { rows, columns } = (self.size)().unwrap_or(Size { rows: 0, columns: 0 });
        let or = |given: u16, usual| if given == 0 { usual } else { given };
        Size { rows: or(rows, 24), columns: or(columns, 80).max(MIN_COLUMNS) }
    }

    fn control(&self, count: usize, letter: char) -> io::Result<()> {
        // `ESC [ 0 A` moves by one, not by none.
        if count > 0 {
            self.push(&format!("\x1b[{count}{letter}"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// The sequences of ECMA-48 that every terminal knows that is not dumb.
impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.size().columns
    }

    fn height(&self) -> u16 {
        self.size().rows
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.control(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.control(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.control(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.control(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(s);
        self.push("\r\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.push(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.send();
        Ok(())
    }
}
