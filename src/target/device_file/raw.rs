//! A device file as it is written, before its parts are held against each other.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::Spanned;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFile {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) summary: String,
    #[serde(default)]
    pub(super) scratch: Vec<RawRange>,
    #[serde(default)]
    pub(super) leave_alone: Vec<RawRange>,
    pub(super) dma_write: Option<RawDmaWrite>,
    pub(super) dma_read: Option<RawDmaRead>,
    pub(super) raise_irq: Option<RawRaiseIrq>,
    pub(super) descriptor: Option<RawDescriptor>,
    pub(super) counter: Option<RawCounter>,
    pub(super) mirror: Option<RawMirror>,
    #[serde(default)]
    pub(super) pfn_query: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRange {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
    pub(super) length: Spanned<Number>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawDmaWrite {
    pub(super) max_length: Spanned<Number>,
    pub(super) fill: Option<Spanned<String>>,
    pub(super) steps: Spanned<Vec<Spanned<RawStep>>>,
    pub(super) status: Option<RawStatus>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawDmaRead {
    pub(super) max_length: Spanned<Number>,
    pub(super) steps: Spanned<Vec<Spanned<RawStep>>>,
    pub(super) result: Option<RawLocation>,
    pub(super) status: Option<RawStatus>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRaiseIrq {
    pub(super) steps: Spanned<Vec<Spanned<RawStep>>>,
    pub(super) status: Option<RawStatus>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDescriptor {
    pub(super) size: Spanned<Number>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLocation {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCounter {
    pub(super) register: RawRegister,
    pub(super) raise: RawRaise,
    pub(super) doorbell: Option<RawDoorbell>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDoorbell {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
    pub(super) size: Spanned<Number>,
    pub(super) datamatch: Option<Spanned<Number>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMirror {
    pub(super) register: RawRegister,
    pub(super) shows: RawLocation,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegister {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
    pub(super) width: Spanned<Number>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRaise {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
    pub(super) width: Spanned<Number>,
    pub(super) value: Spanned<Number>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatus {
    pub(super) region: Spanned<Number>,
    pub(super) offset: Spanned<Number>,
    pub(super) width: Spanned<Number>,
    pub(super) done: Spanned<Number>,
    pub(super) failed: Option<Spanned<Number>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) write: Option<Spanned<Value>>,
    pub(super) place: Option<Spanned<Value>>,
    pub(super) region: Option<Spanned<Number>>,
    pub(super) offset: Spanned<Number>,
    pub(super) width: Spanned<Number>,
}

/// An unsigned integer of 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u64);

/// A number, or the name of a parameter.
pub(super) enum Value {
    Number(u64),
    Name(String),
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an integer from 0 to 2^64-1")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        u64::try_from(value).map(Number).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_u64(NumberVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an integer from 0 to 2^64-1, or a parameter in quotes")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        u64::try_from(value).map(Value::Number).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Name(value.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}
