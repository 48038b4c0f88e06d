//! Small things about words.

pub(super) use crate::requirement::wrap;

/// `1 note`, `2 notes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// Text of the server's, made harmless: what would move the cursor, change colours, break the line, not be seen, or be no
/// character of XML is written out.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            out.push(' ');
        } else if c.is_control() || is_format(c) || is_noncharacter(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// It shows nothing itself; among these are those that turn the direction of writing.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Unicode has no character there, and XML takes none of U+FFFE and U+FFFF.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
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
    fn what_a_server_writes_hides_nothing_and_is_text_of_xml() {
        assert_eq!(harmless("a\u{61c}\u{2060}\u{e0041}"), "a\\u{61c}\\u{2060}\\u{e0041}");
        assert_eq!(
            harmless("\u{fffd}\u{fffe}\u{ffff}\u{1fffe}\u{fdd0}"),
            "\u{fffd}\\u{fffe}\\u{ffff}\\u{1fffe}\\u{fdd0}"
        );
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("\u{e9}\u{e9}\u{e9}\u{e9}", 4), "\u{e9}\u{e9}\u{e9}\u{e9}");
        assert_eq!(cut("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", 4), "\u{e9}\u{e9}..");
    }
}
