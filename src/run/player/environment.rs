//! What the names in a case stand for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nix::fcntl::OFlag;

use crate::case::{
    Bytes, ConditionValue, Descriptor, EvaluationError, Expression, Name, Spanned, Value, errno, pattern,
};
use crate::run::Planned;
use crate::session::{Answer, Conversation, Held};
use crate::target::{Discovered, Has};
use vfio_user_wire::Field;
use vfio_user_wire::legacy::RangeLayout;

use super::Fault;

/// The largest block of bytes that a case can ask for.
const MOST_BYTES: i128 = 16 << 20;

/// What the names in a case stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    /// Parameters, as written.
    pub(super) parameters: HashMap<String, Value>,
    /// Integers: facts of the target, and `let`.
    pub(super) integers: BTreeMap<String, i128>,
    /// Descriptors of `let`.
    pub(super) descriptors: HashMap<String, Arc<Held>>,
    /// The migration data of `save`.
    pub(super) streams: HashMap<String, Vec<u8>>,
    /// Bytes of the portions in which it came, where it came through a region.
    pub(super) portions: HashMap<String, Vec<usize>>,
    /// The target wants the DEVICE_GET_INFO of later versions, whatever its own is.
    pub(super) later_info: bool,
    /// How the target has the range of DIRTY_PAGES.
    pub(super) range_layout: RangeLayout,
}

impl Environment {
    /// The names that a case can use on this target.
    pub(super) fn new(case: &Planned, discovered: &Discovered) -> Environment {
        let limits = discovered.limits();
        let facts = [
            ("num_regions", u64::from(discovered.num_regions)),
            ("num_irqs", u64::from(discovered.num_irqs)),
            ("pgsize", discovered.page_size()),
            ("max_msg_fds", limits.max_msg_fds),
            ("max_data_xfer_size", limits.max_data_xfer_size),
            ("max_dma_maps", limits.max_dma_maps),
        ];
        let range_layout = discovered.range_layout().unwrap_or_default();
        let later_info = discovered.later_info;
        let mut environment = Environment { range_layout, later_info, ..Environment::default() };
        let integers = &mut environment.integers;
        integers.extend(facts.map(|(name, value)| (format!("target.{name}"), i128::from(value))));
        for need in &case.needs {
            if let Some(Has::Yes(names)) = discovered.has.get(need) {
                integers.extend(names.iter().map(|(name, value)| (name.clone(), i128::from(*value))));
            }
        }
        environment.parameters.extend(case.values.iter().cloned());
        environment
    }

    /// An integer by its name: a parameter, a fact, a `let`, or `label.field` of a reply.
    fn lookup(&self, name: &str, talk: &Conversation<'_>) -> Option<i128> {
        if let Some(Value::Integer(expression)) = self.parameters.get(name) {
            return expression.evaluate(&|name| self.lookup_fact(name, talk)).ok();
        }
        self.lookup_fact(name, talk)
    }

    fn lookup_fact(&self, name: &str, talk: &Conversation<'_>) -> Option<i128> {
        self.integers.get(name).copied().or_else(|| {
            let (label, field) = name.split_once('.')?;
            if let Some(stream) = self.streams.get(label).filter(|_| field == "length") {
                return i128::try_from(stream.len()).ok();
            }
            reply_field(talk, label, field).map(i128::from)
        })
    }

    /// The value of an expression.
    pub(super) fn integer(&self, expression: &Expression, talk: &Conversation<'_>) -> Result<i128, Fault> {
        expression.evaluate(&|name| self.lookup(name, talk)).map_err(|error| match &error {
            EvaluationError::Unknown(name) => {
                let (label, field) = name.split_once('.').unwrap_or((name, ""));
                match sent_of(talk, label) {
                    Some(_) => Fault::of_target(format!("what answered `{label}` has no {field}")),
                    None => Fault::new(error.to_string()),
                }
            }
            EvaluationError::Overflow => self.unfit(expression, error.to_string()),
        })
    }

    /// Whose fault it is that an expression has a value that is of no use: the case's, where it has only numbers of its own.
    fn unfit(&self, expression: &Expression, what: String) -> Fault {
        let own = |name: &str| match self.parameters.get(name)? {
            Value::Integer(expression) => expression.evaluate(&|_| None).ok(),
            _ => None,
        };
        match expression.evaluate(&own) {
            Err(EvaluationError::Unknown(_)) => Fault::of_target(what),
            _ => Fault::new(what),
        }
    }

    /// The value of an expression that must fit in a u64; negative ones wrap, since a lying field may be meant.
    pub(super) fn u64(&self, expression: &Expression, talk: &Conversation<'_>) -> Result<u64, Fault> {
        let value = self.integer(expression, talk)?;
        u64::try_from(value)
            .or_else(|_| i64::try_from(value).map(|value| value as u64))
            .map_err(|_| self.unfit(expression, format!("{value} does not fit in 64 bits")))
    }

    /// The size of a file.
    pub(super) fn file_size(&self, expression: &Expression, talk: &Conversation<'_>) -> Result<u64, Fault> {
        let size = self.u64(expression, talk)?;
        let fits = i64::try_from(size).is_ok();
        if fits { Ok(size) } else { Err(self.unfit(expression, format!("there is no file of {size:#x} bytes"))) }
    }

    /// What stands for a value: a parameter's own value where it is just a parameter's name.
    pub(super) fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value {
            Value::Integer(Expression::Name(name)) => self.parameters.get(&name.value).unwrap_or(value),
            _ => value,
        }
    }

    /// Bytes.
    pub(super) fn bytes(&self, bytes: &Bytes, talk: &Conversation<'_>) -> Result<Vec<u8>, Fault> {
        let length = |expression: &Expression| {
            let length = self.integer(expression, talk)?;
            if (0..=MOST_BYTES).contains(&length) {
                Ok(length as usize)
            } else {
                Err(Fault::of_target(format!("there is no block of {length} bytes")))
            }
        };
        Ok(match bytes {
            Bytes::Hex(bytes) | Bytes::Text(bytes) => bytes.clone(),
            Bytes::Integer(width, value) => {
                let value = self.u64(value, talk)?;
                let field = Field { name: "", offset: 0, width: *width, meaning: "", bits: &[] };
                let mut bytes = vec![0; *width];
                field.write(&mut bytes, value);
                bytes
            }
            Bytes::Fill(byte, count) => vec![self.integer(byte, talk)? as u8; length(count)?],
            Bytes::Pattern(seed, count) => pattern(self.u64(seed, talk)?, length(count)?),
            Bytes::Of(name) => {
                let label = name.value.strip_suffix(".data").unwrap_or(&name.value);
                let answer =
                    answer_of(talk, label).ok_or_else(|| Fault::of_target(format!("`{label}` has no reply")))?;
                let fixed = sent_of(talk, label).map_or(0, |sent| sent.command.reply_body().fixed_size());
                answer.payload.get(fixed..).unwrap_or_default().to_vec()
            }
            Bytes::Joined(parts) => {
                let parts: Result<Vec<_>, _> = parts.iter().map(|part| self.bytes(part, talk)).collect();
                parts?.concat()
            }
        })
    }

    /// The integer that a value of a field stands for, bits by their names.
    pub(super) fn field(&self, field: Option<&Field>, value: &Value, talk: &Conversation<'_>) -> Result<u64, Fault> {
        match self.resolve(value) {
            Value::Integer(expression) => self.u64(expression, talk),
            Value::Words(words) => words_value(field, words),
            other => Err(Fault::new(format!("no value for a field: {other:?}"))),
        }
    }

    /// The words that a condition compares with: its own, or those of a parameter.
    pub(super) fn words<'v>(&'v self, value: &'v ConditionValue) -> Option<&'v [Spanned<String>]> {
        match value {
            ConditionValue::Words(words) => Some(words),
            ConditionValue::Integer(Expression::Name(name)) => match self.parameters.get(&name.value) {
                Some(Value::Words(words)) => Some(words),
                _ => None,
            },
            _ => None,
        }
    }

    /// The integer that a condition on a field compares with; `None` for bytes and pages.
    pub(super) fn compared(
        &self,
        field: Option<&Field>,
        value: &ConditionValue,
        talk: &Conversation<'_>,
    ) -> Result<Option<u64>, Fault> {
        Ok(match (self.words(value), value) {
            (Some(words), _) => Some(words_value(field, words)?),
            (None, ConditionValue::Integer(expression)) => Some(self.u64(expression, talk)?),
            _ => None,
        })
    }

    /// Does a `let` line.
    pub(super) fn make(&mut self, name: &Name, what: &Descriptor, talk: &Conversation<'_>) -> Result<(), Fault> {
        let held = match what {
            Descriptor::Integer(expression) => {
                let value = self.integer(expression, talk)?;
                self.integers.insert(name.value.clone(), value);
                return Ok(());
            }
            Descriptor::Memfd(bytes) => Held::memfd(self.file_size(bytes, talk)?, false),
            Descriptor::MemfdReadOnly(bytes) => Held::memfd(self.file_size(bytes, talk)?, true),
            Descriptor::Eventfd(counter) => {
                let counter = counter.as_ref().map_or(Ok(0), |counter| self.u64(counter, talk))?;
                if counter == u64::MAX {
                    return Err(Fault::of_target(format!("no eventfd counts to {counter}")));
                }
                Held::eventfd(counter)
            }
            Descriptor::Socketpair => Held::socketpair(false),
            Descriptor::SocketpairClosed => Held::socketpair(true),
            Descriptor::Pipe => Held::pipe(false),
            Descriptor::PipeClosed => Held::pipe(true),
            Descriptor::Null => Held::path("/dev/null", OFlag::O_RDWR),
            Descriptor::Directory => Held::path("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY),
        };
        self.descriptors.insert(name.value.clone(), Arc::new(held?));
        Ok(())
    }

    /// A descriptor by its name.
    pub(super) fn descriptor(&self, name: &str) -> Result<&Arc<Held>, Fault> {
        self.descriptors.get(name).ok_or_else(|| Fault::new(format!("`{name}` is no descriptor")))
    }
}

/// Bits by name, or an errno's name.
pub(super) fn words_value(field: Option<&Field>, words: &[Spanned<String>]) -> Result<u64, Fault> {
    words.iter().try_fold(0, |value, word| {
        let bit = field.and_then(|field| field.bits.iter().find(|bit| bit.name == word.value)).map(|bit| bit.value);
        let known = bit.or_else(|| errno(&word.value).map(u64::from));
        known.map(|bits| value | bits).ok_or_else(|| Fault::new(format!("`{}` is no bit of this field", word.value)))
    })
}

fn sent_of<'t>(talk: &'t Conversation<'_>, label: &str) -> Option<&'t crate::session::Sent> {
    talk.sent.iter().find(|sent| sent.origin.label.as_deref() == Some(label))
}

/// The reply to a label.
pub(super) fn answer_of<'t>(talk: &'t Conversation<'_>, label: &str) -> Option<&'t Answer> {
    sent_of(talk, label)?.answer.as_ref()
}

fn reply_field(talk: &Conversation<'_>, label: &str, name: &str) -> Option<u64> {
    let sent = sent_of(talk, label)?;
    let answer = sent.answer.as_ref()?;
    match name {
        "payload" => Some(answer.payload.len() as u64),
        "fds" => Some(answer.passed as u64),
        "value" => {
            let data = answer.payload.get(sent.command.reply_body().fixed_size()..)?;
            let mut bytes = [0; 8];
            bytes.get_mut(..data.len())?.copy_from_slice(data);
            Some(u64::from_ne_bytes(bytes))
        }
        _ => sent.command.reply_body().decode(&answer.payload).get(name),
    }
}
