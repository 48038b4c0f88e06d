//! A total in its parts, as a bar and in numbers.

use maud::{Markup, html};

/// How wide the bar is, in its own units.
const BAR: usize = 1000;

/// The bar alone: the colour and the number of each part.
pub(in crate::report) fn bar(parts: &[(&str, usize)]) -> Markup {
    let all: usize = parts.iter().map(|(_, number)| number).sum();
    let mut from = 0;
    let bars: Vec<(&str, usize, usize)> = parts
        .iter()
        .map(|(style, number)| {
            let start = from;
            from += number;
            (*style, start, from)
        })
        .collect();
    let at = |number: usize| (number * BAR).checked_div(all).unwrap_or_default();
    html! {
        svg.bar viewBox={ "0 0 " (BAR) " 12" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for (style, start, end) in bars {
                @if end > start { rect class=(style) x=(at(start)) y="0" width=(at(end) - at(start)) height="12" {} }
            }
        }
    }
}

/// The bar with its title and, for each part, a word, its colour and its number.
pub(in crate::report) fn tally(title: &str, parts: &[(&str, &str, usize)]) -> Markup {
    let bars: Vec<(&str, usize)> = parts.iter().map(|(_, style, number)| (*style, *number)).collect();
    html! {
        div.tally {
            h3 { (title) }
            (bar(&bars))
            (counts(parts))
        }
    }
}

fn counts(parts: &[(&str, &str, usize)]) -> Markup {
    html! {
        dl.counts {
            @for (word, style, number) in parts {
                @if *number > 0 || matches!(*word, "pass" | "fail" | "violated" | "verified") {
                    div { dt { span class={ "dot " (style) } aria-hidden="true" {} (word) } dd { (number) } }
                }
            }
        }
    }
}
