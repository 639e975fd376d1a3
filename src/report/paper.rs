//! Writing that cannot end a run: a closed stdout or stderr is a reader who left, not a failed backup.

use std::io::Write;

/// Somewhere to write to, whose errors end here.
pub(super) struct Paper {
    out: Box<dyn Write + Send>,
    torn: bool,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It was written.
    Yes,
    /// It was not, and the one before was.
    FirstLost,
    /// It was not, and the one before was not either.
    Lost,
}

impl Paper {
    /// Writes to `out`.
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), torn: false }
    }

    /// Writes one line and its end, in one piece.
    pub(super) fn line(&mut self, text: &str) -> Written {
        // After a failed write, half a line may stand there; what comes now must not continue it. Later lines are
        // still tried: a full pipe may have been emptied, and the last line is the one that matters.
        let start = if self.torn { "\n" } else { "" };
        self.raw(format!("{start}{text}\n").as_bytes())
    }

    /// Writes `bytes` as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Written {
        let before = self.torn;
        self.torn = self.out.write_all(bytes).and_then(|()| self.out.flush()).is_err();
        match (self.torn, before) {
            (false, _) => Written::Yes,
            (true, false) => Written::FirstLost,
            (true, true) => Written::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::Sheet;

    #[test]
    fn a_lost_line_is_told_once_and_the_next_one_stands_alone() {
        let sheet = Sheet::default();
        let mut paper = Paper::new(sheet.clone());
        assert_eq!(paper.line("one"), Written::Yes);
        sheet.close();
        assert_eq!(paper.line("two"), Written::FirstLost);
        assert_eq!(paper.line("three"), Written::Lost);
        sheet.open();
        assert_eq!(paper.line("four"), Written::Yes);
        assert_eq!(paper.line("five"), Written::Yes);
        assert_eq!(sheet.text(), "one\n\nfour\nfive\n");
    }
}
