//! Cases into the one form that files are kept in.

use std::fmt::{self, Write};

use super::parse::BLANKS;
use super::{
    Argument, Bytes, Case, Condition, ConditionValue, Descriptor, DeviceAction, DeviceExpectation, Expect, Expression,
    FdExpectation, Given, Name, Outcome, Pages, Range, Relation, SealExpectation, Send, Serve, Spanned, Step, StepKind,
    Subject, Value,
};

/// Requirements stand from this column on, counted from 1, where the line is shorter.
const REQUIREMENTS: usize = 57;

/// The text of a file with these cases. Parsing it gives them again.
pub fn print(cases: &[Case]) -> String {
    let mut out = String::new();
    for (index, case) in cases.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        print_case(&mut out, case);
    }
    out
}

fn print_case(out: &mut String, case: &Case) {
    comments(out, "", &case.comments);
    line(out, "", format_args!("case {}", *case.name));
    if !case.profiles.is_empty() {
        line(out, "", format_args!("profile {}", Joined(&case.profiles, " ")));
    }
    if !case.needs.is_empty() {
        line(out, "", format_args!("needs {}", Joined(&case.needs, " ")));
    }
    match case.given {
        Given::Negotiated => {}
        Given::Connected => line(out, "", format_args!("given connected")),
        Given::Twin => line(out, "", format_args!("given twin")),
        Given::Nothing => line(out, "", format_args!("given nothing")),
    }
    for with in &case.with {
        line(out, "", format_args!("with {} = {}", *with.name, Joined(&with.values, " ")));
    }
    if case.every_command {
        line(out, "", format_args!("for every command"));
    }
    if case.every_channel {
        line(out, "", format_args!("for every channel"));
    }
    for step in &case.steps {
        print_step(out, "", step);
    }
    comments(out, "", &case.trailing);
}

fn print_step(out: &mut String, indent: &str, step: &Step) {
    comments(out, indent, &step.comments);
    let StepKind::If(label, steps) = &step.kind else {
        let mut text = format!("{indent}{}", step.kind);
        if !step.requirements.is_empty() {
            let width = text.chars().count() + 1;
            let gap = REQUIREMENTS.saturating_sub(width).max(1);
            // Writing to a string does not fail.
            let _ = write!(text, "{:gap$}[{}]", "", Joined(&step.requirements, " "));
        }
        return line(out, "", format_args!("{text}"));
    };
    line(out, indent, format_args!("if {} ok", **label));
    for inner in steps {
        print_step(out, "  ", inner);
    }
    line(out, indent, format_args!("end"));
}

fn comments(out: &mut String, indent: &str, comments: &[String]) {
    // A line break in a comment that was not parsed must not begin a line of the case.
    for comment in comments.iter().flat_map(|comment| comment.split('\n')) {
        line(out, indent, format_args!("{}", format!("# {comment}").trim_end_matches(BLANKS)));
    }
}

fn line(out: &mut String, indent: &str, text: fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{indent}{text}");
}

/// Several with a separator between them.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

/// Several, each with a space before it.
fn spaced<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, " {item}"))
}

fn option<T: fmt::Display>(f: &mut fmt::Formatter<'_>, before: &str, item: Option<&T>) -> fmt::Result {
    item.map_or(Ok(()), |item| write!(f, "{before}{item}"))
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepKind::Let(name, descriptor) => write!(f, "let {name} = {descriptor}"),
            StepKind::Client(name, Given::Negotiated) => write!(f, "client {name}"),
            StepKind::Client(name, _) => write!(f, "client {name} connected"),
            StepKind::Server(name) => write!(f, "server {name}"),
            StepKind::Close(end) => {
                f.write_str("close")?;
                option(f, " ", end.as_ref())
            }
            StepKind::Shutdown(end) => {
                f.write_str("shutdown")?;
                option(f, " ", end.as_ref())
            }
            StepKind::Send(send) => send.fmt(f),
            StepKind::Expect(expect) => write!(f, "< {expect}"),
            StepKind::Device(end, action, arguments) => {
                f.write_str("device ")?;
                head(f, end.as_ref(), None)?;
                action.fmt(f)?;
                spaced(f, arguments)
            }
            StepKind::Save(end, stream, arguments) | StepKind::Restore(end, stream, arguments) => {
                f.write_str(if matches!(self, StepKind::Save(..)) { "save " } else { "restore " })?;
                head(f, end.as_ref(), None)?;
                stream.fmt(f)?;
                spaced(f, arguments)
            }
            StepKind::Truncate(name, size) => write!(f, "truncate {name} {size}"),
            StepKind::Baseline => f.write_str("baseline"),
            StepKind::Signal(name) => write!(f, "signal {name}"),
            StepKind::Serve(serve) => serve.fmt(f),
            StepKind::Await(command, conditions) => {
                write!(f, "await {command}")?;
                spaced(f, conditions)
            }
            StepKind::Ring(label, conditions) => {
                write!(f, "ring {label}")?;
                spaced(f, conditions)
            }
            StepKind::Do(procedure, arguments) => {
                write!(f, "do {procedure}")?;
                spaced(f, arguments)
            }
            StepKind::If(label, _) => write!(f, "if {label} ok"),
        }
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Descriptor::Integer(value) => value.fmt(f),
            Descriptor::Memfd(size) => write!(f, "memfd {size}"),
            Descriptor::MemfdReadOnly(size) => write!(f, "memfd {size} readonly"),
            Descriptor::Eventfd(count) => {
                f.write_str("eventfd")?;
                option(f, " ", count.as_ref())
            }
            Descriptor::Socketpair => f.write_str("socketpair"),
            Descriptor::SocketpairClosed => f.write_str("socketpair closed"),
            Descriptor::Pipe => f.write_str("pipe"),
            Descriptor::PipeClosed => f.write_str("pipe closed"),
            Descriptor::Null => f.write_str("null"),
            Descriptor::Directory => f.write_str("directory"),
        }
    }
}

fn head(f: &mut fmt::Formatter<'_>, end: Option<&Name>, label: Option<&Name>) -> fmt::Result {
    match (end, label) {
        (Some(end), Some(label)) => write!(f, "{end}.{label}: "),
        (Some(name), None) | (None, Some(name)) => write!(f, "{name}: "),
        (None, None) => Ok(()),
    }
}

impl fmt::Display for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.joined { ">+ " } else { "> " })?;
        head(f, self.end.as_ref(), self.label.as_ref())?;
        match &self.subject {
            Subject::Message(name) => name.fmt(f)?,
            Subject::Number(number) => write!(f, "command {number}")?,
            Subject::Raw(bytes) => write!(f, "raw {bytes}")?,
            Subject::Sample => f.write_str("{command}")?,
        }
        spaced(f, &self.arguments)
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value.value {
            Value::Flag => self.key.fmt(f),
            value => write!(f, "{}={value}", self.key),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag => Ok(()),
            Value::Integer(value) => value.fmt(f),
            Value::Plus(value) => write!(f, "+{value}"),
            Value::Minus(value) => write!(f, "-{}", Factor(value, true)),
            Value::Words(words) => Joined(words, "|").fmt(f),
            Value::Names(names) => {
                for (index, (name, count)) in names.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    name.fmt(f)?;
                    option(f, "*", count.as_ref().map(|count| Factor(count, false)).as_ref())?;
                }
                Ok(())
            }
            Value::Integers(values) => Joined(values, ",").fmt(f),
            Value::Ranges(ranges) => Joined(ranges, ",").fmt(f),
            Value::Bytes(bytes) => bytes.fmt(f),
            Value::Write(write) => write!(f, "{}:{}:{}", write.region, write.offset, write.data),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.iova, self.length)?;
        match &self.repeated {
            Some((count, distance)) => write!(f, ":{count}:{distance}"),
            None => Ok(()),
        }
    }
}

/// An expression where only a number, a name or parentheses can stand, or also a product.
struct Factor<'a>(&'a Expression, bool);

impl fmt::Display for Factor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Number { .. } | Expression::Name(_) => self.0.fmt(f),
            Expression::Product(..) if self.1 => self.0.fmt(f),
            other => write!(f, "({other})"),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The right side of `+` and `-`, or the left side of `*`: only a sum needs parentheses there.
        fn term(f: &mut fmt::Formatter<'_>, side: &Expression) -> fmt::Result {
            match side {
                Expression::Sum(..) | Expression::Difference(..) => write!(f, "({side})"),
                other => other.fmt(f),
            }
        }
        match self {
            Expression::Number { value, hex: true } => write!(f, "{value:#x}"),
            Expression::Number { value, hex: false } => value.fmt(f),
            Expression::Name(name) => write!(f, "{{{name}}}"),
            Expression::Negative(inner) => write!(f, "-{}", Factor(inner, false)),
            Expression::Sum(left, right) => {
                write!(f, "{left}+")?;
                term(f, right)
            }
            Expression::Difference(left, right) => {
                write!(f, "{left}-")?;
                term(f, right)
            }
            Expression::Product(left, right) => {
                term(f, left)?;
                match &**right {
                    product @ Expression::Product(..) => write!(f, "*({product})"),
                    other => {
                        f.write_char('*')?;
                        term(f, other)
                    }
                }
            }
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bytes::Hex(bytes) => {
                f.write_str("hex:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Bytes::Text(bytes) => text(f, bytes),
            Bytes::Integer(width, value) => write!(f, "u{}:{value}", width.saturating_mul(8)),
            Bytes::Fill(byte, length) => write!(f, "fill:{byte}:{length}"),
            Bytes::Pattern(seed, length) => write!(f, "pattern:{seed}:{length}"),
            Bytes::Of(name) => write!(f, "{{{name}}}"),
            Bytes::Joined(parts) => Joined(parts, ",").fmt(f),
        }
    }
}

fn text(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_char('\'')?;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' => f.write_str(r"\0")?,
                '\n' => f.write_str(r"\n")?,
                '\'' => f.write_str(r"\'")?,
                '\\' => f.write_str(r"\\")?,
                control if control.is_control() => escaped(f, control.encode_utf8(&mut [0; 4]).as_bytes())?,
                other => f.write_char(other)?,
            }
        }
        escaped(f, chunk.invalid())?;
    }
    f.write_char('\'')
}

fn escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, r"\x{byte:02x}"))
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Answer { end, label, outcomes } => {
                head(f, end.as_ref(), label.as_ref())?;
                Joined(&outcomes.conforms, " or ").fmt(f)?;
                if !outcomes.note.is_empty() {
                    write!(f, ", note {}", Joined(&outcomes.note, " or "))?;
                }
                Ok(())
            }
            Expect::Fd(name, expectation) => {
                write!(f, "fd {name} ")?;
                match expectation {
                    FdExpectation::Signalled(count) => {
                        f.write_str("signalled")?;
                        option(f, " ", count.as_ref())
                    }
                    FdExpectation::Quiet => f.write_str("quiet"),
                    FdExpectation::Closed => f.write_str("closed"),
                    FdExpectation::StaysQuiet => f.write_str("stays quiet"),
                    FdExpectation::Conforms => f.write_str("conforms"),
                }
            }
            Expect::Memory(memory, bytes) => {
                let relation = if memory.stays { "stays" } else { "==" };
                write!(f, "{}[{}..{}] {relation} {bytes}", memory.name, memory.start, memory.end)
            }
            Expect::Seal(name, SealExpectation::Ok) => write!(f, "seal {name} ok"),
            Expect::Seal(name, SealExpectation::Busy) => write!(f, "seal {name} busy"),
            Expect::Seal(name, SealExpectation::Conforms) => write!(f, "seal {name} conforms"),
            Expect::FdsBaseline => f.write_str("fds baseline"),
            Expect::Exited => f.write_str("exited"),
            Expect::Device(DeviceExpectation::Done) => f.write_str("device done"),
            Expect::Device(DeviceExpectation::DoneOrNoted) => f.write_str("device done, note failed"),
            Expect::Device(DeviceExpectation::Failed) => f.write_str("device failed"),
            Expect::Same(one, two) => write!(f, "same {one} {two}"),
            Expect::SubRegion(label, conditions) => {
                write!(f, "sub-region {label}")?;
                spaced(f, conditions)
            }
            Expect::Counted(count) => write!(f, "counted {count}"),
            Expect::Mapped(label, arguments, bytes) => {
                write!(f, "mapped {label}")?;
                spaced(f, arguments)?;
                option(f, " == ", bytes.as_ref())
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok(conditions) => {
                f.write_str("ok")?;
                spaced(f, conditions)
            }
            Outcome::Error(errno) => {
                f.write_str("error")?;
                option(f, " ", errno.as_ref())
            }
            Outcome::Closed => f.write_str("closed"),
            Outcome::Silent => f.write_str("silent"),
            Outcome::Conforms => f.write_str("conforms"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.field, self.relation, self.value)
    }
}

impl fmt::Display for ConditionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConditionValue::Integer(value) => value.fmt(f),
            ConditionValue::Words(words) => Joined(words, "|").fmt(f),
            ConditionValue::Bytes(bytes) => bytes.fmt(f),
            ConditionValue::Pages(pages) if pages.is_empty() => f.write_str("none"),
            ConditionValue::Pages(pages) => Joined(pages, ",").fmt(f),
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pages::One(page) => page.fmt(f),
            Pages::Span(first, end) => write!(f, "{first}..{end}"),
            Pages::Last => f.write_str("last"),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::Equal => "=",
            Relation::Unequal => "!=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
            Relation::Has => "&",
            Relation::HasNone => "!&",
        })
    }
}

impl fmt::Display for DeviceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceAction::DmaWrite => "dma-write",
            DeviceAction::DmaRead => "dma-read",
            DeviceAction::RaiseIrq => "raise-irq",
        })
    }
}

impl fmt::Display for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Serve::Memory => f.write_str("serve memory"),
            Serve::Hold => f.write_str("serve hold"),
            Serve::Error(errno) => write!(f, "serve error {errno}"),
            Serve::Next(arguments) => {
                f.write_str("serve next")?;
                spaced(f, arguments)
            }
        }
    }
}
