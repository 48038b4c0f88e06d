//! The bytes that decide what a hostile server does.

use std::sync::Arc;

/// The rest of a script. Behind its end everything is 0, which stands for the harmless choice.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    bytes: Arc<[u8]>,
    at: usize,
}

impl Script {
    /// All of these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Script {
        Script { bytes: bytes.into(), at: 0 }
    }

    /// The same script for another server, which starts elsewhere in it: servers of one case differ, and each does the same
    /// in every repetition.
    pub(crate) fn for_server(&self, number: usize) -> Script {
        let left = self.bytes.len().saturating_sub(self.at).max(1);
        Script { bytes: Arc::clone(&self.bytes), at: self.at + number.wrapping_mul(37) % left }
    }

    /// There is nothing left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// A number below `bound`, which is at most 65536.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = if bound > 256 { usize::from(self.u16()) } else { usize::from(self.byte()) };
        number % bound.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len());
        &from[at]
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A number near an edge: of the field's own value, of `length`, of pages, of what a type holds.
    pub(crate) fn edgy(&mut self, value: u64, length: usize) -> u64 {
        let length = length as u64;
        match self.below(24) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => u64::from(u32::MAX),
            4 => value.wrapping_add(1),
            5 => value.wrapping_sub(1),
            6 => length,
            7 => length.wrapping_add(1),
            8 => length.wrapping_sub(1),
            9 => length.wrapping_add(16),
            10 => value.wrapping_mul(2),
            11 => value ^ 1 << self.below(64),
            12 => 1 << self.below(64),
            13 => (1u64 << self.below(64)).wrapping_sub(1),
            14 => 0u64.wrapping_sub(1 << self.below(64)),
            15 => u64::from(self.byte()),
            16 => u64::from(self.u16()),
            17 => u64::from(self.u32()),
            18 => self.u64(),
            19 => u64::from(self.byte()) << 12,
            20 => !value,
            21 => i64::MAX as u64,
            22 => 1 << 63,
            _ => u64::from(u32::MAX) + 1 + u64::from(self.byte()),
        }
    }
}

/// Bytes in hexadecimal, as scripts are told.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that such a text stands for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}
