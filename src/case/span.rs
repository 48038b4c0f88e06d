//! Where in a file something stands.

/// A range of bytes in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it was written. Equality looks at the value alone, so that a printed and parsed case equals the
/// one it was printed from.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_elsewhere_is_the_same() {
        let (here, there) = (Span { start: 0, end: 1 }, Span { start: 7, end: 8 });
        assert_eq!(Spanned::new(1, here), Spanned::new(1, there));
        assert_ne!(Spanned::new(1, here), Spanned::new(2, here));
    }
}
