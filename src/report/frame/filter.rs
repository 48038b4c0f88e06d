//! The form that narrows a list.

use maud::{Markup, html};

/// One choice by which a list is narrowed.
pub(in crate::report) struct Select<'a> {
    /// The name of the rows' attribute that has the values, without `data-`; several values stand there with `|` between them.
    pub(in crate::report) name: &'static str,
    /// What it is called.
    pub(in crate::report) label: &'static str,
    /// What can be chosen besides all: the value, its name, and how many rows have it.
    pub(in crate::report) options: Vec<(&'a str, &'a str, usize)>,
    /// The value that is chosen in the beginning.
    pub(in crate::report) chosen: Option<&'a str>,
}

/// The form that narrows a list, which the script shows: what is narrowed has a `data-status`.
pub(in crate::report) fn filter(noun: &str, list: &str, selects: &[Select<'_>], all: usize) -> Markup {
    let fields: Vec<String> =
        selects.iter().map(|select| select.name).chain(["words"]).map(|name| format!("{list}-{name}")).collect();
    html! {
        form.filter role="search" aria-label={ "Narrow the " (noun) "s" } data-list=(list) hidden {
            @for Select { name, label, options, chosen } in selects {
                div {
                    label for={ (list) "-" (name) } { (label) }
                    select id={ (list) "-" (name) } name=(name) {
                        option value="" { "all (" (all) ")" }
                        @for (value, word, number) in options {
                            option value=(value) selected[*chosen == Some(*value)] { (word) " (" (number) ")" }
                        }
                    }
                }
            }
            div.grow {
                label for={ (list) "-words" } { "search" }
                input id={ (list) "-words" } name="words" type="search" autocomplete="off" spellcheck="false";
            }
            button type="reset" { "Show all" }
            output for=(fields.join(" ")) { (all) " of " (all) }
        }
    }
}
