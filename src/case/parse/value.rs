//! What stands within a token: numbers, expressions, bytes, words.

use super::line::Token;
use super::{Result, quoted};
use crate::case::similar::similar;
use crate::case::{Argument, Bytes, Diagnostic, Expression, Name, Pages, Range, Span, Spanned, Value, Write};

/// No expression has more parts than this, so that none is nested deeper.
const MOST_PARTS: usize = 64;

const KINDS_OF_BYTES: [&str; 7] = ["hex", "u8", "u16", "u32", "u64", "fill", "pattern"];

/// Reads a token from left to right.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    token: Token<'a>,
    at: usize,
    parts: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `token`.
    pub(super) fn new(token: Token<'a>) -> Self {
        Cursor { token, at: 0, parts: 0 }
    }

    fn rest(&self) -> &'a str {
        self.token.text.get(self.at..).unwrap_or_default()
    }

    /// What comes next.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes `text` if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> Token<'a> {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        self.token.part(self.at - length, self.at)
    }

    fn from(&self, start: usize) -> Token<'a> {
        self.token.part(start, self.at)
    }

    /// An error about what comes next.
    pub(super) fn error(&self, expected: &str) -> Diagnostic {
        let rest = self.token.part(self.at, self.token.text.len());
        if rest.text.is_empty() {
            let text = self.token.text;
            let label = if text.is_empty() { "nothing is here".to_owned() } else { format!("`{text}` ends here") };
            return rest.error(format!("expected {expected}"), label);
        }
        rest.error(format!("expected {expected}, found `{}`", rest.text), format!("expected {expected}"))
    }

    /// An error unless all was read.
    pub(super) fn finish(&self) -> Result<()> {
        if self.rest().is_empty() {
            return Ok(());
        }
        let rest = self.token.part(self.at, self.token.text.len());
        Err(rest.error(format!("unexpected `{}`", rest.text), "the value should end before this"))
    }

    /// An expression of its own: what stood before it does not count among its parts.
    pub(super) fn expression(&mut self) -> Result<Expression> {
        self.parts = 0;
        self.sum()
    }

    /// A sum of products.
    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        loop {
            if self.eat("+") {
                left = Expression::Sum(Box::new(left), Box::new(self.product()?));
            } else if self.eat("-") {
                left = Expression::Difference(Box::new(left), Box::new(self.product()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.factor()?;
        while self.eat("*") {
            left = Expression::Product(Box::new(left), Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Expression> {
        if self.eat("-") {
            return Ok(Expression::Negative(Box::new(self.primary()?)));
        }
        self.primary()
    }

    /// A number, a name in braces, or an expression in parentheses.
    fn primary(&mut self) -> Result<Expression> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(self.token.error(format!("an expression has at most {MOST_PARTS} parts"), "this one has more"));
        }
        match self.peek() {
            Some('0'..='9') => self.number(),
            Some('{') => Ok(Expression::Name(self.braces()?)),
            Some('(') => {
                self.eat("(");
                let inner = self.sum()?;
                if self.eat(")") { Ok(inner) } else { Err(self.error("`)`")) }
            }
            _ => Err(self.error("an integer")),
        }
    }

    fn number(&mut self) -> Result<Expression> {
        let digits = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let hex = digits.text.strip_prefix("0x");
        let parsed = match hex {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => digits.text.parse(),
        };
        let radix = if hex.is_some() { 16 } else { 10 };
        let body = hex.unwrap_or(digits.text);
        let numeric = !body.is_empty() && body.chars().all(|c| c.is_digit(radix));
        match parsed {
            Ok(value) => Ok(Expression::Number { value, hex: hex.is_some() }),
            Err(_) if numeric => {
                Err(digits.error(format!("`{}` is too large", digits.text), "no number has more than 64 bits"))
            }
            Err(_) => Err(digits.error(format!("`{}` is no number", digits.text), "expected 4096 or 0x1000")),
        }
    }

    /// `{name}`.
    pub(super) fn braces(&mut self) -> Result<Name> {
        let start = self.at;
        self.eat("{");
        let name = self.take_while(|c| is_name(c) || c == '.');
        if !self.eat("}") {
            return Err(self.error(if name.text.is_empty() { "a name" } else { "`}`" }));
        }
        if name.text.is_empty() {
            return Err(self.from(start).error("expected a name in the braces", "nothing is named"));
        }
        Ok(name.spanned())
    }

    /// A word: letters, digits, `_` and `-`.
    pub(super) fn word(&mut self, what: &str) -> Result<Name> {
        let word = self.take_while(is_name);
        if word.text.is_empty() {
            return Err(self.error(what));
        }
        Ok(word.spanned())
    }

    fn words(&mut self) -> Result<Vec<Name>> {
        let mut words = vec![self.word("a word")?];
        while self.eat("|") {
            words.push(self.word("a word")?);
        }
        Ok(words)
    }

    fn names(&mut self) -> Result<Vec<(Name, Option<Expression>)>> {
        let mut names = Vec::new();
        loop {
            let name = self.word("the name of a descriptor")?;
            self.parts = 0;
            let count = if self.eat("*") { Some(self.primary()?) } else { None };
            names.push((name, count));
            if !self.eat(",") {
                return Ok(names);
            }
        }
    }

    fn integers(&mut self) -> Result<Vec<Expression>> {
        let mut integers = vec![self.expression()?];
        while self.eat(",") {
            integers.push(self.expression()?);
        }
        Ok(integers)
    }

    fn ranges(&mut self) -> Result<Vec<Range>> {
        let mut ranges = Vec::new();
        loop {
            let (iova, length) = self.two()?;
            let repeated = if self.eat(":") { Some(self.two()?) } else { None };
            ranges.push(Range { iova, length, repeated });
            if !self.eat(",") {
                return Ok(ranges);
            }
        }
    }

    /// Pages of a bitmap.
    pub(super) fn pages(&mut self) -> Result<Vec<Pages>> {
        if self.eat("none") {
            return Ok(Vec::new());
        }
        let mut pages = Vec::new();
        loop {
            pages.push(if self.eat("last") {
                Pages::Last
            } else {
                let first = self.expression()?;
                if self.eat("..") { Pages::Span(first, self.expression()?) } else { Pages::One(first) }
            });
            if !self.eat(",") {
                return Ok(pages);
            }
        }
    }

    /// Bytes, where nothing else can stand.
    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        let mut parts = vec![self.part()?];
        while self.eat(",") {
            parts.push(self.part()?);
        }
        if parts.len() > 1 {
            return Ok(Bytes::Joined(parts));
        }
        Ok(parts.remove(0))
    }

    /// Bytes of one kind.
    fn part(&mut self) -> Result<Bytes> {
        match self.peek() {
            Some('\'') => self.text(),
            Some('{') => Ok(Bytes::Of(self.braces()?)),
            _ if self.is_kind_of_bytes() => self.kind_of_bytes(),
            _ => Err(self
                .error("bytes")
                .help("bytes are hex:00ff, 'text', u8:1 (u16, u32, u64), fill:BYTE:LENGTH, pattern:SEED:LENGTH, or {label.data}")),
        }
    }

    fn is_kind_of_bytes(&self) -> bool {
        let rest = self.rest();
        rest.find(|c: char| !is_name(c)).is_some_and(|end| end > 0 && rest[end..].starts_with(':'))
    }

    fn kind_of_bytes(&mut self) -> Result<Bytes> {
        let kind = self.take_while(is_name);
        self.eat(":");
        match kind.text {
            "hex" => self.hex(),
            "u8" => Ok(Bytes::Integer(1, self.expression()?)),
            "u16" => Ok(Bytes::Integer(2, self.expression()?)),
            "u32" => Ok(Bytes::Integer(4, self.expression()?)),
            "u64" => Ok(Bytes::Integer(8, self.expression()?)),
            "fill" => self.two().map(|(byte, length)| Bytes::Fill(byte, length)),
            "pattern" => self.two().map(|(seed, length)| Bytes::Pattern(seed, length)),
            other => Err(kind
                .error(format!("unknown kind of bytes `{other}:`"), "not one of hex, u8, u16, u32, u64, fill, pattern")
                .suggest(similar(other, KINDS_OF_BYTES))),
        }
    }

    fn two(&mut self) -> Result<(Expression, Expression)> {
        let one = self.expression()?;
        if !self.eat(":") {
            return Err(self.error("`:` and a length"));
        }
        Ok((one, self.expression()?))
    }

    fn hex(&mut self) -> Result<Bytes> {
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        if self.peek().is_some_and(is_name) {
            return Err(self.error("hexadecimal digits"));
        }
        if !digits.text.len().is_multiple_of(2) {
            return Err(digits.error("an odd number of hexadecimal digits", "two digits make a byte"));
        }
        let nibbles: Vec<u8> = digits.text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        Ok(Bytes::Hex(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }

    fn text(&mut self) -> Result<Bytes> {
        let Some(length) = quoted(self.rest()) else {
            return Err(self.error("`'` at the end of the text"));
        };
        let start = self.at + 1;
        self.at += length;
        let inner = self.token.part(start, self.at - 1);
        let mut bytes = Vec::with_capacity(inner.text.len());
        let mut at = 0;
        while let Some(next) = inner.text[at..].chars().next() {
            let length = next.len_utf8();
            if next != '\\' {
                bytes.extend_from_slice(&inner.text.as_bytes()[at..at + length]);
                at += length;
                continue;
            }
            let (byte, length) = escape(inner, at)?;
            bytes.push(byte);
            at += length;
        }
        Ok(Bytes::Text(bytes))
    }

    /// The value of `key`.
    pub(super) fn value(&mut self, key: &str) -> Result<Value> {
        match (key, self.peek()) {
            ("fd" | "fds" | "memory", _) => Ok(Value::Names(self.names()?)),
            ("cut", _) => Ok(Value::Integers(self.integers()?)),
            ("write", _) => self.write(),
            ("ranges", _) => Ok(Value::Ranges(self.ranges()?)),
            ("data" | "store", Some('{')) => {
                let name = self.braces()?;
                Ok(if name.contains('.') {
                    Value::Bytes(Bytes::Of(name))
                } else {
                    Value::Integer(Expression::Name(name))
                })
            }
            ("payload" | "data", Some('-')) => {
                self.eat("-");
                Ok(Value::Minus(self.product()?))
            }
            (_, Some('+')) => {
                self.eat("+");
                Ok(Value::Plus(self.expression()?))
            }
            (_, Some('\'')) => Ok(Value::Bytes(self.bytes()?)),
            (_, Some('0'..='9' | '-' | '{' | '(')) => Ok(Value::Integer(self.expression()?)),
            _ if self.is_kind_of_bytes() => Ok(Value::Bytes(self.bytes()?)),
            (_, Some(c)) if is_name(c) => Ok(Value::Words(self.words()?)),
            _ => Err(self.error("a value")),
        }
    }

    /// `REGION:OFFSET:BYTES`.
    fn write(&mut self) -> Result<Value> {
        let region = self.expression()?;
        if !self.eat(":") {
            return Err(self.error("`:` and an offset"));
        }
        let offset = self.expression()?;
        if !self.eat(":") {
            return Err(self.error("`:` and bytes"));
        }
        Ok(Value::Write(Box::new(Write { region, offset, data: self.bytes()? })))
    }

    /// Where reading goes on.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The span from `start` to where reading goes on.
    pub(super) fn span_from(&self, start: usize) -> Span {
        self.from(start).span
    }
}

/// A character of a word.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The byte that the escape at `at` stands for, and the escape's length.
fn escape(text: Token<'_>, at: usize) -> Result<(u8, usize)> {
    let rest = &text.text[at..];
    let simple = |byte| Ok((byte, 2));
    match rest[1..].chars().next() {
        Some('0') => simple(0),
        Some('\\') => simple(b'\\'),
        Some('\'') => simple(b'\''),
        Some('n') => simple(b'\n'),
        Some('x') if rest.get(2..4).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) => {
            let digits = rest.get(2..4).unwrap_or_default();
            Ok((u8::from_str_radix(digits, 16).unwrap_or_default(), 4))
        }
        other => {
            let escape = text.part(at, at + 1 + other.map_or(0, char::len_utf8));
            Err(escape.error(format!("unknown escape `{}`", escape.text), r"not one of \0 \\ \' \n \xNN"))
        }
    }
}

/// A whole token as an expression.
pub(super) fn expression(token: Token<'_>) -> Result<Expression> {
    let mut cursor = Cursor::new(token);
    let expression = cursor.expression()?;
    cursor.finish()?;
    Ok(expression)
}

/// A whole token as bytes.
pub(super) fn bytes(token: Token<'_>) -> Result<Bytes> {
    let mut cursor = Cursor::new(token);
    let bytes = cursor.bytes()?;
    cursor.finish()?;
    Ok(bytes)
}

/// A whole token as the value of `key`.
pub(super) fn value(token: Token<'_>, key: &str) -> Result<Spanned<Value>> {
    let mut cursor = Cursor::new(token);
    let value = cursor.value(key)?;
    cursor.finish()?;
    Ok(Spanned::new(value, token.span))
}

/// A whole token as a word.
pub(super) fn word(token: Token<'_>, what: &str) -> Result<Name> {
    let mut cursor = Cursor::new(token);
    let word = cursor.word(what)?;
    cursor.finish()?;
    Ok(word)
}

/// A whole token as a name that the case gives: a lower-case word.
pub(super) fn name(token: Token<'_>, what: &str) -> Result<Name> {
    let first = token.text.chars().next();
    let lower = first.is_some_and(|c| c.is_ascii_lowercase());
    if lower && token.text.chars().all(|c| is_name(c) && !c.is_ascii_uppercase()) {
        return Ok(token.spanned());
    }
    Err(token.error(
        format!("`{}` cannot be {what}", token.text),
        "expected a lower-case letter, then lower-case letters, digits, `_` and `-`",
    ))
}

/// `key=value`, or a bare word.
pub(super) fn argument(token: Token<'_>) -> Result<Argument> {
    let mut cursor = Cursor::new(token);
    let key = cursor.take_while(|c| is_name(c) || c == '.');
    if key.text.is_empty() {
        return Err(cursor.error("KEY=VALUE"));
    }
    if cursor.peek().is_none() {
        return Ok(Argument { key: key.spanned(), value: Spanned::new(Value::Flag, key.span) });
    }
    if !cursor.eat("=") {
        return Err(cursor.error("`=`"));
    }
    let at = cursor.position();
    let value = cursor.value(key.text)?;
    cursor.finish()?;
    Ok(Argument { key: key.spanned(), value: Spanned::new(value, cursor.span_from(at)) })
}
