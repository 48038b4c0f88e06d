//! Text into cases: line by line, each line's error noted, so that a file's errors come all at once.

mod expect;
mod line;
mod step;
mod value;

use std::collections::HashSet;

use self::line::{Line, Token};
use super::{Case, Diagnostic, Given, Name, Source, Span, Spanned, Step, StepKind, TWIN, With};
use crate::Profile;

type Result<T> = std::result::Result<T, Diagnostic>;

/// What does not count at the end of a line.
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// What a line of a case's head can begin with.
const HEAD: [&str; 6] = ["case", "profile", "needs", "given", "with", "for"];

/// No parameter has more values than this: each is checked wherever the parameter stands.
const MOST_VALUES: usize = 256;

/// The cases of a file, or everything that is wrong with its lines.
pub fn parse(source: &Source) -> std::result::Result<Vec<Case>, Vec<Diagnostic>> {
    let mut file = File::default();
    let mut start = 0;
    for text in source.text.split_inclusive('\n') {
        file.line(text, start);
        start += text.len();
    }
    file.finish()
}

/// Bytes of the quoted text that `text` begins with, quotes included; `None` where it is not closed.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        if byte == b'\'' && !escaped {
            return Some(at + 1);
        }
        escaped = byte == b'\\' && !escaped;
    }
    None
}

/// The ends that a case has declared so far: they tell `b:` the end from `b:` the label.
#[derive(Debug, Default)]
struct Ends {
    declared: HashSet<String>,
}

impl Ends {
    fn declare(&mut self, name: &Name) {
        self.declared.insert(name.value.clone());
    }

    /// `end.label:`, `label:` or `end:`.
    fn head(&self, token: Token<'_>) -> Result<(Option<Name>, Option<Name>)> {
        let body = token.part(0, token.text.len().saturating_sub(1));
        if let Some(dot) = body.text.find('.') {
            let end = value::name(body.part(0, dot), "an end's name")?;
            let label = value::name(body.part(dot + 1, body.text.len()), "a label")?;
            return Ok((Some(end), Some(label)));
        }
        let name = value::name(body, "a label")?;
        if self.declared.contains(&name.value) { Ok((Some(name), None)) } else { Ok((None, Some(name))) }
    }
}

/// A comment line, and where it stands.
#[derive(Debug)]
struct Comment {
    text: String,
    span: Span,
}

#[derive(Debug, Default)]
struct File {
    cases: Vec<Case>,
    /// The case being read.
    case: Option<Case>,
    /// The `if` being read.
    block: Option<Step>,
    /// How many more were begun within it, wrongly; their `end`s are theirs.
    nested: usize,
    ends: Ends,
    /// Which head lines the case has that can stand once.
    given: bool,
    comments: Vec<Comment>,
    /// How many of these comments stand before the last blank line.
    before_blank: usize,
    /// The line before any case was noted.
    homeless: bool,
    diagnostics: Vec<Diagnostic>,
}

impl File {
    fn line(&mut self, text: &str, start: usize) {
        let trimmed = text.trim_start_matches([' ', '\t']);
        let start = start + text.len() - trimmed.len();
        let trimmed = trimmed.trim_end_matches(BLANKS);
        if trimmed.is_empty() {
            self.before_blank = self.comments.len();
            return;
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            let span = Span { start, end: start + trimmed.len() };
            let text = comment.strip_prefix(' ').unwrap_or(comment).to_owned();
            self.comments.push(Comment { text, span });
            return;
        }
        if let Err(diagnostic) = self.tokens(trimmed, start) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn tokens(&mut self, text: &str, start: usize) -> Result<()> {
        // Even where the rest of the line is wrong, a case begins here, and a block begins or ends.
        let word = text.split([' ', '\t']).next().unwrap_or_default();
        if word == "case" {
            self.begin_case();
        }
        if word == "if" {
            self.begin_block(Span { start, end: start + text.len() })?;
        }
        if word == "end" {
            return self.end_block(&mut Line::new(text, start)?);
        }
        let comments = if HEAD.contains(&word) { Vec::new() } else { self.take_comments() };
        let mut line = Line::new(text, start)?;
        let Some(first) = line.next() else {
            return Ok(());
        };
        let checks = matches!(first.text, "<" | "save" | "restore" | "do" | "await" | "ring");
        if let Some(brackets) = line.brackets.filter(|_| !checks) {
            let message = "only `<`, `save`, `restore`, `do`, `await` and `ring` lines check a requirement";
            return Err(Diagnostic::new(brackets, message, "nothing is checked here"));
        }
        if word == "case" {
            return self.name(&mut line);
        }
        if self.case.is_none() {
            return self.no_case(first);
        }
        if HEAD.contains(&first.text) {
            return self.head(first, &mut line);
        }
        if first.text == "if" {
            return self.condition(&mut line, comments);
        }
        let kind = step::step(first, &mut line, &mut self.ends)?;
        self.push(Step { comments, span: line.span, kind, requirements: line.requirements });
        Ok(())
    }

    /// A line outside any case; said once.
    fn no_case(&mut self, first: Token<'_>) -> Result<()> {
        if std::mem::replace(&mut self.homeless, true) {
            return Ok(());
        }
        Err(first
            .error("this line belongs to no case", "expected `case NAME` first")
            .suggest(super::similar::similar(first.text, ["case"])))
    }

    fn push(&mut self, step: Step) {
        match (&mut self.block, &mut self.case) {
            (Some(Step { kind: StepKind::If(_, steps), .. }), _) => steps.push(step),
            (_, Some(case)) => case.steps.push(step),
            _ => {}
        }
    }

    fn take_comments(&mut self) -> Vec<String> {
        self.before_blank = 0;
        std::mem::take(&mut self.comments).into_iter().map(|comment| comment.text).collect()
    }

    /// Ends the case being read; comments before a blank line are its last.
    fn begin_case(&mut self) {
        let own = self.comments.split_off(self.before_blank.min(self.comments.len()));
        let comments = if self.case.is_some() {
            self.end_case();
            own
        } else {
            std::mem::take(&mut self.comments).into_iter().chain(own).collect()
        };
        self.before_blank = 0;
        self.ends = Ends::default();
        self.given = false;
        self.nested = 0;
        self.case = Some(Case {
            comments: comments.into_iter().map(|comment| comment.text).collect(),
            name: Spanned::new(String::new(), Span::default()),
            needs: Vec::new(),
            given: Given::default(),
            with: Vec::new(),
            every_command: false,
            every_channel: false,
            profiles: Vec::new(),
            steps: Vec::new(),
            trailing: Vec::new(),
        });
    }

    fn end_case(&mut self) {
        if let Some(block) = self.block.take() {
            self.diagnostics.push(Diagnostic::new(block.span, "this `if` has no `end`", "begins here"));
        }
        let trailing = self.take_comments();
        if let Some(mut case) = self.case.take() {
            case.trailing = trailing;
            self.cases.push(case);
        }
    }

    fn name(&mut self, line: &mut Line<'_>) -> Result<()> {
        let token = line.expect("the case's name")?;
        line.finish()?;
        let words = token.text.split(['-', '.']);
        let good = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !words.into_iter().all(good) {
            return Err(token.error(
                format!("`{}` cannot be a case's name", token.text),
                "expected lower-case words and digits, joined by `-` and `.`",
            ));
        }
        if let Some(case) = &mut self.case {
            case.name = token.spanned();
        }
        Ok(())
    }

    fn head(&mut self, first: Token<'_>, line: &mut Line<'_>) -> Result<()> {
        if let Some(comment) = self.comments.first() {
            let span = comment.span;
            self.take_comments();
            let message = "a comment stands before `case` or before a step";
            return Err(Diagnostic::new(span, message, "this one stands before a line of the head")
                .help("move it above `case`"));
        }
        let Some(case) = &mut self.case else {
            return Ok(());
        };
        if !case.steps.is_empty() || self.block.is_some() {
            return Err(
                first.error(format!("`{}` stands before the first step", first.text), "a step came before this")
            );
        }
        match first.text {
            "profile" => {
                let mut token = Some(line.expect("a version of the protocol")?);
                while let Some(word) = token {
                    let profile = word.text.parse::<Profile>().map_err(|error| {
                        let names = Profile::ALL.map(Profile::name).join(", ");
                        word.error(error.to_string(), format!("expected one of {names}"))
                    })?;
                    if case.profiles.iter().any(|known| known.value == profile) {
                        return Err(word.error(format!("the case is for `{profile}` already"), "it was said before"));
                    }
                    case.profiles.push(Spanned::new(profile, word.span));
                    token = line.next();
                }
            }
            "needs" => {
                case.needs.push(value::word(line.expect("what the target must offer")?, "a word")?);
                while let Some(token) = line.next() {
                    case.needs.push(value::word(token, "a word")?);
                }
            }
            "given" => {
                let token = line.expect("`connected`, `twin` or `nothing`")?;
                let given = match token.text {
                    "connected" => Given::Connected,
                    "twin" => Given::Twin,
                    "nothing" => Given::Nothing,
                    other => {
                        let expected = "expected `connected`, `twin` or `nothing`";
                        let suggestion = super::similar::similar(other, ["connected", "twin", "nothing"]);
                        return Err(token.error(format!("unknown state `{other}`"), expected).suggest(suggestion));
                    }
                };
                if std::mem::replace(&mut self.given, true) {
                    return Err(first.error("`given` stands once", "it was said before"));
                }
                if given == Given::Twin {
                    self.ends.declared.insert(TWIN.to_owned());
                }
                case.given = given;
            }
            "with" => {
                let name = value::name(line.expect("a parameter's name")?, "a parameter's name")?;
                line.expect_word("=")?;
                let mut values = vec![value::value(line.expect("a value")?, "")?];
                while let Some(token) = line.next() {
                    if values.len() >= MOST_VALUES {
                        return Err(
                            token.error(format!("a parameter has at most {MOST_VALUES} values"), "this is one more")
                        );
                    }
                    values.push(value::value(token, "")?);
                }
                case.with.push(With { name, values });
            }
            _ => {
                line.expect_word("every")?;
                let token = line.expect("`command` or `channel`")?;
                let slot = match token.text {
                    "command" => &mut case.every_command,
                    "channel" => &mut case.every_channel,
                    other => {
                        let error =
                            token.error(format!("no case runs for every `{other}`"), "expected command or channel");
                        return Err(error.suggest(super::similar::similar(other, ["command", "channel"])));
                    }
                };
                if std::mem::replace(slot, true) {
                    return Err(first.error(format!("`for every {}` stands once", token.text), "it was said before"));
                }
            }
        }
        line.finish()
    }

    fn begin_block(&mut self, span: Span) -> Result<()> {
        if self.block.is_some() {
            self.nested += 1;
            return Err(Diagnostic::new(span, "an `if` cannot stand in an `if`", "the one before has not ended"));
        }
        if self.case.is_some() {
            let label = Spanned::new(String::new(), Span::default());
            let kind = StepKind::If(label, Vec::new());
            self.block = Some(Step { comments: Vec::new(), span, kind, requirements: Vec::new() });
        }
        Ok(())
    }

    /// `if LABEL ok`, whose block has begun.
    fn condition(&mut self, line: &mut Line<'_>, comments: Vec<String>) -> Result<()> {
        let label = value::name(line.expect("a label")?, "a label")?;
        line.expect_word("ok")?;
        line.finish()?;
        if let Some(block) = &mut self.block {
            block.comments = comments;
            block.kind = StepKind::If(label, Vec::new());
        }
        Ok(())
    }

    fn end_block(&mut self, line: &mut Line<'_>) -> Result<()> {
        let comment = self.comments.first().map(|comment| comment.span);
        self.take_comments();
        if self.nested > 0 {
            self.nested -= 1;
            return Ok(());
        }
        let Some(block) = self.block.take() else {
            return Err(Diagnostic::new(line.span, "this `end` ends nothing", "no `if` stands before it"));
        };
        self.push(block);
        if let Some(span) = comment {
            return Err(Diagnostic::new(span, "a comment stands before a step", "this one stands before `end`"));
        }
        line.next();
        line.finish()
    }

    fn finish(mut self) -> std::result::Result<Vec<Case>, Vec<Diagnostic>> {
        let lonely = self.comments.first().filter(|_| self.case.is_none()).map(|comment| comment.span);
        if let Some(span) = lonely {
            let message = "this comment belongs to no case";
            self.diagnostics.push(Diagnostic::new(span, message, "no `case` follows it"));
        }
        self.end_case();
        if self.diagnostics.is_empty() { Ok(self.cases) } else { Err(self.diagnostics) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Bytes, ConditionValue, Expect, Outcome, Subject};

    fn parsed(lines: &str) -> Vec<Case> {
        let source = Source { name: "a.case".to_owned(), text: format!("case a.b\n{lines}") };
        parse(&source).unwrap()
    }

    #[test]
    fn a_block_without_an_end_is_told_by_the_line_that_begins_it() {
        let text = "case a.b\n  if a ok \n< ok\n";
        let error = parse(&Source { name: "a.case".to_owned(), text: text.to_owned() }).unwrap_err().remove(0);
        assert_eq!(text.get(error.span.start..error.span.end), Some("if a ok"));
    }

    #[test]
    fn text_that_is_not_closed_is_told_to_the_end_of_its_line() {
        let text = "case a.b\n> raw 'open \n< ok\n";
        let error = parse(&Source { name: "a.case".to_owned(), text: text.to_owned() }).unwrap_err().remove(0);
        assert_eq!(text.get(error.span.start..error.span.end), Some("'open"));
    }

    #[test]
    fn hexadecimal_digits_are_bytes_by_twos() {
        let case = parsed("> raw hex:a75c00ff").remove(0);
        let StepKind::Send(send) = &case.steps[0].kind else { panic!("{case:?}") };
        assert_eq!(send.subject, Subject::Raw(Bytes::Hex(vec![0xa7, 0x5c, 0x00, 0xff])));
    }

    #[test]
    fn the_data_of_a_reply_in_braces_are_bytes_and_a_parameter_may_be_anything() {
        let value = |text: &str| {
            let case = parsed(&format!("< ok data={text}")).remove(0);
            let StepKind::Expect(Expect::Answer { outcomes, .. }) = &case.steps[0].kind else { panic!("{case:?}") };
            let Outcome::Ok(conditions) = &outcomes.conforms[0].value else { panic!("{case:?}") };
            conditions[0].value.value.clone()
        };
        assert!(matches!(value("{read.data}"), ConditionValue::Bytes(Bytes::Of(_))));
        assert!(matches!(value("{bytes}"), ConditionValue::Integer(_)));
    }
}
