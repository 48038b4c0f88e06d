//! Colours. They are always written; the stream takes them out where nobody would see them.

use anstyle::{AnsiColor, Style};

pub(in crate::report) const BOLD: Style = Style::new().bold();
pub(in crate::report) const DIM: Style = Style::new().dimmed();
pub(in crate::report) const RED: Style = AnsiColor::Red.on_default().bold();
pub(in crate::report) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(in crate::report) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(in crate::report) const BLUE: Style = AnsiColor::Cyan.on_default();

/// The text in this style.
pub(in crate::report) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
