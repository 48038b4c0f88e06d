//! Small things about words.

pub(super) use crate::requirement::wrap;

/// `1 note`, `2 notes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// Text of the server's, made harmless: what would move the cursor, change colours or break the line is written out.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Among the controls are those that turn the direction of writing.
        let is_format =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c == '\t' {
            out.push(' ');
        } else if c.is_control() || is_format {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// At most so many characters; what was cut off shows as dots.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_writes_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\tc\u{202e}d\u{e9}\r"), "a\\u{1b}[2Jb c\\u{202e}d\u{e9}\\r");
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("\u{e9}\u{e9}\u{e9}\u{e9}", 4), "\u{e9}\u{e9}\u{e9}\u{e9}");
        assert_eq!(cut("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", 4), "\u{e9}\u{e9}..");
    }
}
