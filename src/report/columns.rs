//! Text in so many columns of a screen.

/// Columns on the screen. What is not ASCII counts as two, the most that a character takes: a line that is one column
/// too short is fine, one that wraps is not.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// `text` in exactly `columns`. What does not fit is cut off at the left: the ends of dataset names tell them apart.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let needed = width(text);
    if needed <= columns {
        return format!("{text}{}", " ".repeat(columns - needed));
    }
    if columns < 2 {
        return " ".repeat(columns);
    }
    let (mut tail, mut used) = (Vec::new(), 2);
    for c in text.chars().rev() {
        if used + char_width(c) > columns {
            break;
        }
        used += char_width(c);
        tail.push(c);
    }
    let kept: String = tail.into_iter().rev().collect();
    format!("..{kept}{}", " ".repeat(columns - used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_left_and_filled_at_the_right() {
        let table = [
            ("home", 6, "home  "),
            ("home", 4, "home"),
            ("pool/home", 6, "..home"),
            ("日本", 4, "日本"),
            ("a日本", 4, "..本"),
            ("日本b", 4, "..b "),
            ("home", 1, " "),
            ("home", 0, ""),
        ];
        for (text, columns, fitted) in table {
            assert_eq!(fit(text, columns), fitted, "{text} {columns}");
        }
    }
}
