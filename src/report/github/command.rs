//! Workflow commands: lines that a runner of GitHub Actions takes for more than text.

use std::borrow::Cow;

/// Where a line of this kind stands, its beginning apart from white space, the runner obeys.
const COMMAND: &str = "::";
/// And where this stands, be it in the middle of a line.
const OLD_COMMAND: &str = "##[";

/// One property or message, escaped as the runner reads it back.
pub(super) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which a colon or a comma would end.
pub(super) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A runner of GitHub Actions reads what this process prints.
pub(in crate::report) fn is_read() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// As [`tame`], where a runner reads it.
#[cfg(any(feature = "cli", feature = "libtest"))]
pub(crate) fn tame_where_read(text: &str) -> Cow<'_, str> {
    if is_read() { tame(text) } else { Cow::Borrowed(text) }
}

/// Text of which the runner takes nothing for a command: a backslash stands in each that the server, or whoever made a report,
/// may have put there.
pub(in crate::report) fn tame(text: &str) -> Cow<'_, str> {
    if !text.contains(COMMAND) && !text.contains(OLD_COMMAND) {
        return Cow::Borrowed(text);
    }
    let lines = text.split_inclusive(['\n', '\r']).map(|line| {
        // Colours may be taken out on the way.
        let bare = anstream::adapter::strip_str(line).to_string();
        let line = line.replace(OLD_COMMAND, "##\\[");
        match bare.trim_start().starts_with(COMMAND) {
            true => line.replacen(COMMAND, "\\::", 1),
            false => line,
        }
    });
    Cow::Owned(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_message_or_a_property_is_escaped() {
        assert_eq!(data("50% a:b,c\r\n"), "50%25 a:b,c%0D%0A");
        assert_eq!(property("50% a:b,c\r\n"), "50%25 a%3Ab%2Cc%0D%0A");
    }

    #[test]
    fn no_line_begins_as_a_command_does_and_none_holds_one_of_the_old_kind() {
        let hostile =
            "a\n::error::x\n \t\u{a0}::add-mask::e\n\r::group::\n| ##[add-path]/tmp\n\u{1b}[2m  ::debug::y\u{1b}[0m\n";
        let tamed = tame(hostile);
        let expected = "a\n\\::error::x\n \t\u{a0}\\::add-mask::e\n\r\\::group::\n| ##\\[add-path]/tmp\n\u{1b}[2m  \\::debug::y\u{1b}[0m\n";
        assert_eq!(tamed, expected);
        assert_eq!(tame(&tamed), tamed);
    }

    #[test]
    fn all_other_text_stays_as_it_is() {
        for text in ["", "std::io::Error", "a ::error::x", "# [x]", "two\nlines ::\n"] {
            assert_eq!(tame(text), text);
        }
    }
}
