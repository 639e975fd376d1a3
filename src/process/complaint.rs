//! What a child complained: the end of its standard error, harmless to a terminal.

/// How much of a child's standard error is kept, in bytes: its end, where the reason stands.
const KEPT: usize = 4096;

/// The last bytes of a stream of any length.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    tail: Vec<u8>,
    cut: bool,
}

impl Complaint {
    /// Takes what was read; forgets what is too old.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if let Some(excess) = self.tail.len().checked_sub(KEPT).filter(|&excess| excess > 0) {
            self.tail.drain(..excess);
            self.cut = true;
        }
    }

    /// As text that a terminal can show.
    pub(super) fn into_text(mut self) -> String {
        if self.cut {
            // The cut may have gone through a character: its rest would be shown as garbage.
            let rest = self.tail.iter().take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count();
            self.tail.drain(..rest);
        }
        let text = printable(String::from_utf8_lossy(&self.tail).trim_end());
        if self.cut { format!("…{text}") } else { text }
    }
}

/// A text from outside, without anything that moves a cursor, changes a colour or reorders letters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(harmless).collect()
}

/// One word for a shell, to be copied from what is printed.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Control characters (line breaks and tabs excepted) and direction marks become the replacement character.
fn harmless(character: char) -> char {
    let reorders =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let moves = character.is_control() && !matches!(character, '\n' | '\t');
    if moves || reorders { char::REPLACEMENT_CHARACTER } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_harmless_text_whatever_the_child_wrote() {
        for (written, shown) in [
            (&b"cannot open 'x'\n"[..], "cannot open 'x'"),
            (b"two\n\tlines\n\n", "two\n\tlines"),
            (b"\x1b[2Jcleared\r", "\u{fffd}[2Jcleared"),
            (b"bell\x07\x7f \xc2\x9b31m", "bell\u{fffd}\u{fffd} \u{fffd}31m"),
            (b"not utf-8 \xff\xfe!", "not utf-8 \u{fffd}\u{fffd}!"),
            ("reversed \u{202e}txt".as_bytes(), "reversed \u{fffd}txt"),
            (b"", ""),
        ] {
            let mut complaint = Complaint::default();
            complaint.add(written);
            assert_eq!(complaint.into_text(), shown, "{written:?}");
        }
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept_and_no_character_is_torn() {
        let mut complaint = Complaint::default();
        for _ in 0..10_000 {
            complaint.add("é".as_bytes());
        }
        complaint.add(b"!");
        let text = complaint.into_text();
        assert!(text.starts_with("…é") && text.ends_with("é!"), "{text}");
        assert!(text.len() <= KEPT + "…".len());
        assert!(!text.contains('\u{fffd}'));
    }
}
