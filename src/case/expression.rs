//! Integers and bytes, as cases write them.

use super::Spanned;

/// An integer: a number, a name in braces, or a sum, difference or product of such. `*` binds tighter.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// `4096`, `0x1000`; kept with its radix for printing.
    Number {
        /// The value.
        value: u64,
        /// It was written in hexadecimal.
        hex: bool,
    },
    /// `{cut}`, `{target.num_regions}`, `{info.argsz}`.
    Name(Spanned<String>),
    /// A leading `-`.
    Negative(Box<Expression>),
    /// `a+b`.
    Sum(Box<Expression>, Box<Expression>),
    /// `a-b`.
    Difference(Box<Expression>, Box<Expression>),
    /// `a*b`.
    Product(Box<Expression>, Box<Expression>),
}

/// Bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Bytes {
    /// `hex:00ff`.
    Hex(Vec<u8>),
    /// `'text\0'`, with `\0`, `\\`, `\'`, `\n` and `\xNN`.
    Text(Vec<u8>),
    /// `u8:VALUE`, `u16:`, `u32:`, `u64:`: an integer in host byte order. Width in bytes, value.
    Integer(usize, Expression),
    /// `fill:BYTE:LENGTH`.
    Fill(Expression, Expression),
    /// `pattern:SEED:LENGTH`: byte i is `(SEED + i * 7 + i / 251) mod 256`, so that neighbours and pages differ.
    Pattern(Expression, Expression),
    /// `{label.data}`: the data of an earlier reply.
    Of(Spanned<String>),
    /// `u64:1,u32:2`: one behind the other.
    Joined(Vec<Bytes>),
}

/// The bytes that `pattern:SEED:LENGTH` stands for.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    (0..length).map(|i| (seed as usize).wrapping_add(i.wrapping_mul(7)).wrapping_add(i / 251) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_what_its_line_says() {
        assert_eq!(pattern(3, 4), [3, 10, 17, 24]);
        // 251 * 7 + 251 / 251, and 512 * 7 + 512 / 251, modulo 256.
        assert_eq!(pattern(0, 513)[251], 222);
        assert_eq!(pattern(0, 513)[512], 2);
        assert_eq!(pattern(u64::MAX, 2), [255, 6]);
        assert!(pattern(1, 0).is_empty());
    }
}
