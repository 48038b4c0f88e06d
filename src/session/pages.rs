//! Pages of a bitmap, and ranges of IOVAs, for people.

use vfio_user_wire::feature::DmaLoggingRange;

/// So many of them are named.
const NAMED: usize = 16;

/// `page 7`, `pages 0, 7..9, 63`; `no page`.
pub fn pages_text(pages: impl Iterator<Item = u64>) -> String {
    let text = page_numbers(pages);
    let several = text.contains(['.', ',']);
    match text.as_str() {
        "none" => "no page".to_owned(),
        _ if several => format!("pages {text}"),
        _ => format!("page {text}"),
    }
}

/// `0, 7..9, 63`, with exclusive ends as cases have them; `none`.
pub(super) fn page_numbers(pages: impl Iterator<Item = u64>) -> String {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let mut more = 0u64;
    for page in pages {
        let full = spans.len() >= NAMED;
        match spans.last_mut() {
            Some((_, end)) if *end == page && more == 0 => *end += 1,
            _ if full => more += 1,
            _ => spans.push((page, page + 1)),
        }
    }
    let span = |(first, end): &(u64, u64)| match end - first {
        1 => first.to_string(),
        _ => format!("{first}..{end}"),
    };
    let named: Vec<String> = spans.iter().map(span).collect();
    match more {
        0 if named.is_empty() => "none".to_owned(),
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

/// `0x10000:0x2000,0x100000000:0x1000`, as cases have them.
pub(super) fn ranges_text(mut data: &[u8]) -> String {
    let (mut named, mut more) = (Vec::new(), 0);
    while let Some((DmaLoggingRange { iova, length }, rest)) = DmaLoggingRange::parse(data) {
        if named.len() < NAMED {
            named.push(format!("{iova:#x}:{length:#x}"));
        } else {
            more += 1;
        }
        data = rest;
    }
    let mut text = named.join(",");
    if more > 0 {
        text = format!("{text}, and {more} more");
    }
    match (text.is_empty(), data.len()) {
        (_, 0) => text,
        (true, rest) => format!("{rest} bytes"),
        (false, rest) => format!("{text}, and {rest} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_a_span_and_many_are_counted() {
        assert_eq!(pages_text([].into_iter()), "no page");
        assert_eq!(pages_text([7].into_iter()), "page 7");
        assert_eq!(pages_text([0, 7, 8, 63].into_iter()), "pages 0, 7..9, 63");
        assert_eq!(pages_text((0..100).map(|page| page * 2)).split(", ").last(), Some("and 84 more"));
    }
}
