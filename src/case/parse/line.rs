//! One line as tokens: what spaces separate, quotes kept together, the requirements at its end taken off.

use super::{Result, quoted};
use crate::case::{Diagnostic, Span, Spanned};

/// What stands between two spaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Where it stands.
    pub(super) span: Span,
}

impl<'a> Token<'a> {
    /// The part of it from byte `start` to byte `end`.
    pub(super) fn part(&self, start: usize, end: usize) -> Token<'a> {
        let text = self.text.get(start..end).unwrap_or_default();
        Token { text, span: Span { start: self.span.start + start, end: self.span.start + start + text.len() } }
    }

    /// It as a word that may stand for itself.
    pub(super) fn spanned(&self) -> Spanned<String> {
        Spanned::new(self.text.to_owned(), self.span)
    }

    /// An error about it.
    pub(super) fn error(&self, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.span, message, label)
    }
}

/// The tokens of a line, taken from left to right.
#[derive(Debug)]
pub(super) struct Line<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    /// The whole line.
    pub(super) span: Span,
    /// `[DMAP-05]` at the end.
    pub(super) requirements: Vec<Spanned<String>>,
    /// Where those stand, brackets included.
    pub(super) brackets: Option<Span>,
    end: Span,
}

impl<'a> Line<'a> {
    /// The tokens of `text`, which starts at byte `start` of the file and has no spaces around it.
    pub(super) fn new(text: &'a str, start: usize) -> Result<Self> {
        let mut tokens = split(text, start)?;
        if let Some(comment) = tokens.iter().find(|token| token.text.starts_with('#')) {
            let help = "a comment stands on a line of its own, before what it is about";
            return Err(comment.error("a comment cannot stand behind a line", "begins here").help(help));
        }
        let span = Span { start, end: start + text.len() };
        let mut line = Line { tokens: Vec::new(), next: 0, span, requirements: Vec::new(), brackets: None, end: span };
        if let Some(at) = tokens.iter().position(|token| token.text.starts_with('[')) {
            let rest = tokens.split_off(at);
            line.take_requirements(&rest)?;
        }
        let end = tokens.last().map_or(span.end, |token| token.span.end);
        line.end = Span { start: end, end };
        line.tokens = tokens;
        Ok(line)
    }

    fn take_requirements(&mut self, tokens: &[Token<'a>]) -> Result<()> {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return Ok(());
        };
        let brackets = Span { start: first.span.start, end: last.span.end };
        let closing = tokens.iter().position(|token| token.text.ends_with(']'));
        let Some(closing) = closing else {
            return Err(Diagnostic::new(brackets, "this `[` is not closed", "`]` is missing at the end of the line"));
        };
        if let Some(more) = tokens.get(closing + 1) {
            return Err(more.error("the requirements stand at the end of the line", "this comes after them"));
        }
        for (index, token) in tokens.iter().enumerate() {
            let from = usize::from(index == 0);
            let to = token.text.len() - usize::from(index == closing);
            let id = token.part(from.min(to), to);
            if !id.text.is_empty() && !id.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(id.error(
                    format!("`{}` is no requirement", id.text),
                    "expected ids such as DMAP-05, with a space between two",
                ));
            }
            if !id.text.is_empty() {
                self.requirements.push(id.spanned());
            }
        }
        if self.requirements.is_empty() {
            return Err(Diagnostic::new(brackets, "no requirement is named here", "expected an id such as DMAP-05"));
        }
        self.brackets = Some(brackets);
        Ok(())
    }

    /// The next token, if there is one.
    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.next += usize::from(token.is_some());
        token
    }

    /// The next token, left where it is.
    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// The next token; an error that says what is missing where the line ends.
    pub(super) fn expect(&mut self, what: &str) -> Result<Token<'a>> {
        let token = self.expect_peek(what)?;
        self.next += 1;
        Ok(token)
    }

    /// The next token, left where it is; an error that says what is missing where the line ends.
    pub(super) fn expect_peek(&self, what: &str) -> Result<Token<'a>> {
        self.peek().ok_or_else(|| Diagnostic::new(self.end, format!("expected {what}"), "the line ends here"))
    }

    /// The next token, which must be `word`.
    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        let token = self.expect(&format!("`{word}`"))?;
        if token.text == word {
            return Ok(());
        }
        Err(token.error(format!("expected `{word}`, found `{}`", token.text), format!("expected `{word}`")))
    }

    /// Takes the next token if it is `word`.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == word);
        self.next += usize::from(found);
        found
    }

    /// An error unless every token was taken.
    pub(super) fn finish(&self) -> Result<()> {
        let Some(token) = self.peek() else {
            return Ok(());
        };
        Err(token.error(format!("unexpected `{}`", token.text), "the line should end before this"))
    }
}

fn split(text: &str, start: usize) -> Result<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if next == ' ' || next == '\t' {
            tokens.extend(begun.take().map(|from| token(text, start, from, at)));
            at += 1;
            continue;
        }
        begun.get_or_insert(at);
        at += match next {
            '\'' => quoted(&text[at..]).ok_or_else(|| {
                let span = Span { start: start + at, end: start + text.len() };
                Diagnostic::new(span, "this text is not closed", "`'` is missing at its end")
            })?,
            other => other.len_utf8(),
        };
    }
    tokens.extend(begun.map(|from| token(text, start, from, text.len())));
    Ok(tokens)
}

fn token(text: &str, start: usize, from: usize, to: usize) -> Token<'_> {
    Token { text: &text[from..to], span: Span { start: start + from, end: start + to } }
}
