//! What is wrong with a case file, and where.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Span;

/// A case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What to call it: its path.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// One error in a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// What stands at the caret; may be empty.
    pub label: String,
    /// Where it is wrong.
    pub span: Span,
    /// What would be right, where that can be guessed.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn new(span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Diagnostic { message: message.into(), label: label.into(), span, help: None }
    }

    /// The same with this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, asking `did you mean ..?` where there is a suggestion.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl std::fmt::Display>) -> Self {
        if let Some(suggestion) = suggestion {
            self.help = Some(format!("did you mean `{suggestion}`?"));
        }
        self
    }

    /// Line and column of the first character, both from 1, the column in characters.
    pub fn line_column(&self, source: &Source) -> (usize, usize) {
        let start = boundary(&source.text, self.span.start);
        let before = source.text.get(..start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        (line, column)
    }

    /// For people: the line, the caret under it, the advice.
    pub fn render(&self, source: &Source, colour: bool) -> String {
        let start = boundary(&source.text, self.span.start);
        let first = source.text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let rest = source.text.get(first..).unwrap_or_default();
        let text = rest.split('\n').next().unwrap_or_default();
        let text = text.strip_suffix('\r').unwrap_or(text);
        // A span of several lines shows its first one.
        let from = (start - first).min(text.len());
        let to = boundary(&source.text, self.span.end.max(start)).saturating_sub(first).clamp(from, text.len());
        let mut annotation = AnnotationKind::Primary.span(from..to);
        if !self.label.is_empty() {
            annotation = annotation.label(self.label.as_str());
        }
        let (line, _) = self.line_column(source);
        let snippet = Snippet::source(text).path(source.name.as_str()).line_start(line).annotation(annotation);
        let mut group = Level::ERROR.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// The last character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_within_a_character_is_that_character() {
        let source = Source { name: "a.case".to_owned(), text: "x\n\u{20ac}y".to_owned() };
        let at = |start| Diagnostic::new(Span { start, end: start }, "", "").line_column(&source);
        assert_eq!([2, 3, 4, 5, 99].map(at), [(2, 1), (2, 1), (2, 1), (2, 2), (2, 3)]);
    }
}
