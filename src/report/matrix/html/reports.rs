//! The reports that are compared, each with what it is of and its totals.

use maud::{Markup, html};

use super::told::Told;
use crate::report::ExitCode;
use crate::report::frame::{foreign, sign, tally};
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::count;

/// All of them, side by side.
pub(super) fn reports(told: &[Told<'_>]) -> Markup {
    html! {
        section aria-labelledby="reports" {
            h2 #reports { "Reports" }
            div.pair { @for told in told { (self::report(told)) } }
        }
    }
}

fn report(told: &Told<'_>) -> Markup {
    let (column, report) = (told.column, told.report);
    let totals = &report.totals;
    let cases = [
        ("pass", "good", totals.pass),
        ("fail", "bad", totals.fail),
        ("skip", "none", totals.skip),
        ("inconclusive", "doubt", totals.inconclusive),
        ("error", "bad", totals.error),
        ("not run", "doubt", totals.not_run),
    ];
    let requirements = STATUSES.map(|(status, word)| (word, sign(status).0, report.with_status(status)));
    let style = if report.exit_code == ExitCode::Conforming.number() { "good" } else { "bad" };
    html! {
        div.report {
            h3 { (foreign(&column.name)) }
            p.{ "status " (style) } { (foreign(&report.said)) }
            @if let Some(why) = &column.incomplete { p.incomplete { strong { "Incomplete: " } (foreign(why)) } }
            dl.facts {
                div { dt { "target" } dd { code { (foreign(&column.target)) } } }
                div { dt { "profile" } dd {
                    @if column.profile.is_empty() { "none: no session could be had" } @else { (foreign(&column.profile)) }
                } }
                div { dt { "harness" } dd { (foreign(&column.harness)) " on " (foreign(&report.platform)) } }
                div { dt { "file" } dd { code { (foreign(&column.file)) } } }
            }
            (tally(&count(report.requirements.len(), "requirement"), &requirements))
            (tally(&count(totals.selected, "case"), &cases))
        }
    }
}
