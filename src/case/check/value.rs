//! Whether a value fits where it stands.

use vfio_user_wire::Field;
use vfio_user_wire::message::SingleWrite;

use super::names::{Meaning, holds_integers};
use super::{Checker, similar};
use crate::case::{Bytes, Diagnostic, EvaluationError, Expression, Name, Range, Span, Spanned, Value, Write};

/// No line has more ranges than a message of usual size can hold.
const MOST_RANGES: i128 = 65_536;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// An integer of at least, and at most.
    Integer(i128, i128),
    /// What fits a field: an integer or names of its bits.
    Field(&'static Field),
    /// The same, or relative to what it would be.
    Changed(&'static Field),
    /// Bytes, as many as are wanted, or relative to how many there would be.
    Size,
    /// Where to cut.
    Cut,
    /// Bytes.
    Bytes,
    /// Ranges of IOVAs.
    Ranges,
    /// Pages of a bitmap.
    Pages,
    /// How many more or fewer.
    Change,
    /// Memory of the client: so many names of memfds at the most.
    Memory(usize),
    /// Version data.
    Json,
    /// This many descriptors at most.
    Descriptors(usize),
    /// A write of REGION_WRITE_MULTI.
    Write,
    /// A word that stands for itself.
    Flag,
    /// Whatever a procedure takes.
    Anything,
}

impl Wanted {
    fn words(self) -> String {
        match self {
            Wanted::Integer(..) => "an integer".to_owned(),
            Wanted::Field(field) if field.bits.is_empty() => "an integer".to_owned(),
            Wanted::Field(_) => "an integer or names of its bits".to_owned(),
            Wanted::Changed(_) => "an integer, +N or -N".to_owned(),
            Wanted::Size => "a number of bytes, +N or -N".to_owned(),
            Wanted::Cut => "numbers of bytes".to_owned(),
            Wanted::Bytes => "bytes".to_owned(),
            Wanted::Ranges => "ranges of IOVAs".to_owned(),
            Wanted::Pages => "pages of a bitmap".to_owned(),
            Wanted::Change => "+N or -N".to_owned(),
            Wanted::Memory(1) => "the name of a memfd".to_owned(),
            Wanted::Memory(_) => "names of memfds".to_owned(),
            Wanted::Json => "text in quotes, or `none`".to_owned(),
            Wanted::Descriptors(1) => "the name of a descriptor".to_owned(),
            Wanted::Descriptors(_) => "names of descriptors".to_owned(),
            Wanted::Write => "REGION:OFFSET:BYTES".to_owned(),
            Wanted::Flag => "no value".to_owned(),
            Wanted::Anything => "a value".to_owned(),
        }
    }
}

impl<'a> Checker<'a> {
    /// Whether `value` is what `key` takes.
    pub(super) fn value(&mut self, key: &str, value: &'a Spanned<Value>, wanted: Wanted) {
        if let (Value::Integer(Expression::Name(name)), true) = (&value.value, !matches!(wanted, Wanted::Flag)) {
            return self.named(key, name, wanted);
        }
        self.given(key, value, wanted);
    }

    /// A name in braces that is the whole value: a parameter can hold whatever fits.
    pub(super) fn named(&mut self, key: &str, name: &Name, wanted: Wanted) {
        match (self.braces(name), wanted) {
            (Meaning::Parameter(with), _) => {
                for value in &with.values {
                    self.given(key, value, wanted);
                }
            }
            (Meaning::Integer, Wanted::Bytes | Wanted::Json | Wanted::Change) => {
                self.misfit(key, name.span, wanted);
            }
            (Meaning::Data, Wanted::Bytes | Wanted::Anything) | (Meaning::Integer | Meaning::Nothing, _) => {}
            (Meaning::Data, _) => self.misfit(key, name.span, wanted),
        }
    }

    fn misfit(&mut self, key: &str, span: Span, wanted: Wanted) {
        let words = wanted.words();
        self.push(Diagnostic::new(span, format!("`{key}` takes {words}"), format!("expected {words}")));
    }

    fn given(&mut self, key: &str, value: &Spanned<Value>, wanted: Wanted) {
        let span = value.span;
        match (&value.value, wanted) {
            (Value::Flag, Wanted::Flag | Wanted::Anything) => {}
            (Value::Integer(integer), Wanted::Integer(least, most)) => self.between(integer, span, least, most),
            (Value::Integer(integer), Wanted::Field(field) | Wanted::Changed(field)) => {
                self.fits(integer, span, field, true)
            }
            (Value::Integer(integer), Wanted::Size) => self.between(integer, span, 0, i128::from(u32::MAX)),
            (Value::Integer(integer), Wanted::Cut | Wanted::Anything) => self.integer(integer, span),
            (Value::Plus(change), Wanted::Changed(_) | Wanted::Size | Wanted::Change | Wanted::Anything) => {
                self.integer(change, span);
            }
            (Value::Minus(change), Wanted::Changed(_) | Wanted::Size | Wanted::Change | Wanted::Anything) => {
                self.integer(change, span);
            }
            (Value::Words(words), Wanted::Field(field) | Wanted::Changed(field)) => self.bits(words, field),
            (Value::Words(words), Wanted::Json) if words.len() == 1 && words[0].as_str() == "none" => {}
            (Value::Words(_), Wanted::Anything) => {}
            (Value::Names(names), Wanted::Descriptors(most)) => self.descriptors(key, names, most, span),
            (Value::Names(names), Wanted::Memory(most)) => {
                names.iter().for_each(|(name, _)| self.memfd(name));
                if names.len() > most || names.iter().any(|(_, count)| count.is_some()) {
                    self.misfit(key, span, wanted);
                }
            }
            (Value::Names(names), Wanted::Anything) => self.descriptors(key, names, usize::MAX, span),
            (Value::Integers(integers), Wanted::Cut | Wanted::Anything) => {
                integers.iter().for_each(|integer| self.integer(integer, span));
            }
            (Value::Ranges(ranges), Wanted::Ranges | Wanted::Anything) => self.ranges(ranges, span),
            (Value::Bytes(bytes), Wanted::Bytes | Wanted::Anything)
            | (Value::Bytes(bytes @ Bytes::Text(_)), Wanted::Json) => self.bytes(bytes, span),
            (Value::Write(write), Wanted::Write) => self.write(write, span),
            _ => self.misfit(key, span, wanted),
        }
    }

    fn write(&mut self, write: &Write, span: Span) {
        let fields = [("region", &write.region), ("offset", &write.offset)];
        for (name, value) in fields {
            if let Some(field) = SingleWrite::LAYOUT.field(name) {
                self.fits(value, span, field, true);
            }
        }
        self.bytes(&write.data, span);
    }

    fn ranges(&mut self, ranges: &[Range], span: Span) {
        let most = i128::from(u64::MAX);
        for Range { iova, length, repeated } in ranges {
            self.between(iova, span, 0, most);
            self.between(length, span, 0, most);
            if let Some((count, distance)) = repeated {
                self.between(count, span, 1, MOST_RANGES);
                self.between(distance, span, 0, most);
            }
        }
    }

    fn descriptors(&mut self, key: &str, names: &[(Name, Option<Expression>)], most: usize, span: Span) {
        for (name, count) in names {
            self.descriptor(name);
            if let Some(count) = count {
                self.between(count, span, 0, i128::from(u16::MAX));
            }
        }
        if most == 1 && (names.len() > 1 || names.iter().any(|(_, count)| count.is_some())) {
            let error = Diagnostic::new(span, format!("`{key}` is one descriptor"), "expected one name");
            self.push(error.help("`fds=a,b*3` names several"));
        }
    }

    /// The names in an integer, and its value where it needs none.
    pub(super) fn constant(&mut self, expression: &Expression, span: Span) -> Option<i128> {
        self.integers_in(expression);
        match expression.evaluate(&|_| None) {
            Ok(value) => Some(value),
            Err(EvaluationError::Unknown(_)) => None,
            Err(EvaluationError::Overflow) => {
                self.push(Diagnostic::new(span, "this integer is too large", "it has more than 127 bits"));
                None
            }
        }
    }

    /// An integer of any size.
    pub(super) fn integer(&mut self, expression: &Expression, span: Span) {
        self.constant(expression, span);
    }

    pub(super) fn between(&mut self, expression: &Expression, span: Span, least: i128, most: i128) {
        let Some(value) = self.constant(expression, span) else {
            return;
        };
        if value < least {
            self.push(Diagnostic::new(span, format!("{value} is too small here"), format!("at least {least}")));
        }
        if value > most {
            self.push(Diagnostic::new(span, format!("{value:#x} is too large here"), format!("at most {most:#x}")));
        }
    }

    /// Whether an integer fits a field; what is sent can also be negative, which means what two's complement makes of it.
    pub(super) fn fits(&mut self, expression: &Expression, span: Span, field: &Field, sent: bool) {
        let Some(value) = self.constant(expression, span) else {
            return;
        };
        let most = field.max();
        let least = if sent { -i128::from(most / 2) - 1 } else { 0 };
        if value < least {
            let message = format!("{value} does not fit `{}`", field.name);
            self.push(Diagnostic::new(span, message, format!("{} bytes, at least {least}", field.width)));
        }
        if value > i128::from(most) {
            let message = format!("{value:#x} does not fit `{}`", field.name);
            self.push(Diagnostic::new(span, message, format!("{} bytes, at most {most:#x}", field.width)));
        }
    }

    fn integers_in(&mut self, expression: &Expression) {
        match expression {
            Expression::Number { .. } => {}
            Expression::Name(name) => self.integer_name(name),
            Expression::Negative(inner) => self.integers_in(inner),
            Expression::Sum(left, right) | Expression::Difference(left, right) | Expression::Product(left, right) => {
                self.integers_in(left);
                self.integers_in(right);
            }
        }
    }

    fn integer_name(&mut self, name: &Name) {
        let wrong = match self.braces(name) {
            Meaning::Parameter(with) if !holds_integers(with) => "not every value of the parameter is an integer",
            Meaning::Data => "these are bytes",
            _ => return,
        };
        self.push(Diagnostic::new(name.span, format!("`{}` is no integer", **name), wrong));
    }

    /// Names of a field's bits.
    pub(super) fn bits(&mut self, words: &[Spanned<String>], field: &Field) {
        for word in words {
            if field.bits.iter().any(|bit| bit.name == word.as_str()) {
                continue;
            }
            // The header's error is the one field whose values have names of their own.
            if field.name == "error" {
                self.errno(word);
                continue;
            }
            if field.bits.is_empty() {
                let message = format!("`{}` has no bits with names", field.name);
                self.push(Diagnostic::new(word.span, message, "expected an integer"));
                continue;
            }
            let names: Vec<&str> = field.bits.iter().map(|bit| bit.name).collect();
            let error = Diagnostic::new(
                word.span,
                format!("`{}` is no bit of `{}`", **word, field.name),
                format!("expected {}", names.join(", ")),
            );
            self.push(error.suggest(similar(word, names)));
        }
    }

    pub(super) fn bytes(&mut self, bytes: &Bytes, span: Span) {
        match bytes {
            Bytes::Hex(_) | Bytes::Text(_) => {}
            Bytes::Integer(width, value) => {
                let most = if *width >= 8 { i128::from(u64::MAX) } else { (1 << (width * 8)) - 1 };
                self.between(value, span, 0, most);
            }
            Bytes::Fill(byte, length) => {
                self.between(byte, span, 0, 255);
                self.between(length, span, 0, i128::from(u32::MAX));
            }
            Bytes::Pattern(seed, length) => {
                self.between(seed, span, 0, i128::from(u64::MAX));
                self.between(length, span, 0, i128::from(u32::MAX));
            }
            Bytes::Of(name) => self.named("this", name, Wanted::Bytes),
            Bytes::Joined(parts) => parts.iter().for_each(|part| self.bytes(part, span)),
        }
    }
}

/// How many bytes these are, where that is written.
pub(super) fn length(bytes: &Bytes) -> Option<i128> {
    match bytes {
        Bytes::Hex(bytes) | Bytes::Text(bytes) => i128::try_from(bytes.len()).ok(),
        Bytes::Integer(width, _) => i128::try_from(*width).ok(),
        Bytes::Fill(_, length) | Bytes::Pattern(_, length) => length.evaluate(&|_| None).ok(),
        Bytes::Of(_) => None,
        Bytes::Joined(parts) => parts.iter().map(length).sum(),
    }
}
