//! Ranges of addresses, as the model counts them.

/// First address, and one past the last one: 2^64 where it is the last there is.
pub(super) type Span = (u128, u128);

/// The span of `length` bytes at `address`.
pub(super) fn span(address: u64, length: u64) -> Span {
    (u128::from(address), u128::from(address) + u128::from(length))
}

/// What two spans have in common; `None` where that is nothing.
pub(super) fn common(one: Span, two: Span) -> Option<Span> {
    let both = (one.0.max(two.0), one.1.min(two.1));
    (both.0 < both.1).then_some(both)
}

/// What is left of a span without another one.
pub(super) fn without(one: Span, gone: Span) -> impl Iterator<Item = Span> {
    let parts = [(one.0, one.1.min(gone.0)), (one.0.max(gone.1), one.1)];
    parts.into_iter().filter(|(start, end)| start < end)
}

/// Addresses, as spans that may overlap: there are few of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    list: Vec<Span>,
}

impl Spans {
    pub(super) fn add(&mut self, span: Span) {
        if span.0 < span.1 && !self.list.contains(&span) {
            self.list.push(span);
        }
    }

    pub(super) fn extend(&mut self, other: &Spans) {
        other.list.iter().for_each(|span| self.add(*span));
    }

    /// Takes out all of a span: what was there.
    pub(super) fn take(&mut self, gone: Span) -> Spans {
        let taken = self.list.iter().filter_map(|span| common(*span, gone)).collect();
        self.list = self.list.iter().flat_map(|span| without(*span, gone)).collect();
        Spans { list: taken }
    }

    /// Any of the span is in it, both taken as whole pages.
    pub(super) fn meets(&self, span: Span, page: u64) -> bool {
        self.list.iter().any(|own| common(rounded(*own, page), span).is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The whole pages that a span has a part in.
pub(super) fn rounded((start, end): Span, page: u64) -> Span {
    let page = u128::from(page.max(1));
    (start / page * page, end.div_ceil(page) * page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_nothing_else() {
        let mut spans = Spans::default();
        spans.add((0, 10));
        spans.add((20, 30));
        assert_eq!(spans.take((5, 25)).list, [(5, 10), (20, 25)]);
        assert_eq!(spans.list, [(0, 5), (25, 30)]);
        spans.take((0, 5));
        assert_eq!(spans.list, [(25, 30)]);
    }

    #[test]
    fn what_is_added_twice_is_there_once_and_no_addresses_are_nothing() {
        let mut spans = Spans::default();
        for span in [(0, 10), (0, 10), (5, 5)] {
            spans.add(span);
        }
        assert_eq!(spans.list, [(0, 10)]);
    }

    #[test]
    fn pages_are_met_as_wholes() {
        let mut spans = Spans::default();
        spans.add((0x1ff0, 0x1ff1));
        assert!(spans.meets((0x1000, 0x1001), 0x1000));
        assert!(!spans.meets((0x2000, 0x3000), 0x1000) && !spans.meets((0, 0x1000), 0x1000));
        assert!(!spans.meets((0x1000, 0x1001), 1));
    }
}
