//! The HTML report in a real browser: it runs without an error and asks nobody for anything, filters, links lead somewhere, and it can
//! be read on a phone, without a mouse, without a script, and by who does not see it.
//!
//! Without Chromium (`CHROMIUM`, or in PATH) all of it is ignored; without axe-core, which `ci/axe` fetches, what that one looks for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod browser;

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use browser::{Browser, DESK, Look};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use support::{Bench, RESETS};

/// A page with findings of both kinds, skips, a case without a verdict, pins that are met and that are not; in its folder.
struct Made {
    bench: Bench,
}

/// What a browser is to show of a page.
type Test = fn(&mut Browser, &Path);

/// Made by the first test that needs it.
static MADE: Mutex<Option<Made>> = Mutex::new(None);

/// They pass, are skipped, are in error and noted, and crash the server.
const CASES: &[(&str, &str)] = &[
    ("reset.case", RESETS),
    ("good.case", support::PASSES),
    (
        "more.case",
        "case more.skipped
needs migration
> DEVICE_GET_INFO
< ok                                                    [INFO-01]

case more.crash
> DEVICE_RESET
< ok                                                    [RESET-02]

case more.short
> DEVICE_GET_INFO payload=8
< error, note ok                                        [HDR-20]

case more.error
with n = 4
> REGION_READ region=0 offset={n}*0x7fffffffffffffff count=4
< error                                                 [RREAD-01]
",
    ),
];

const PINS: &str = r#"
[[expect]]
case = "more.crash"
requirement = "RESET-02"
outcome = "any"
reason = "known"
link = "https://example.org/1"

[[expect]]
case = "good.info"
requirement = "INFO-01"
outcome = "violation"
reason = "it was so once"
"#;

impl Made {
    fn new() -> Made {
        let bench = Bench::new(CASES);
        let (report, pins) = (format!("html={}", bench.word(PAGE)), bench.write("pins.toml", PINS));
        // A case in error stands over the drift.
        bench.against("panics", &["--expect", &pins, "--report", &report]).has_code(70);
        // What the other commands leave is no report of theirs.
        std::fs::rename(bench.path("report.json"), bench.path("bad.json")).unwrap();
        std::fs::remove_file(bench.path("every.xml")).unwrap();
        let (cases, json) = (bench.word("cases"), format!("json={}", bench.word("good.json")));
        let good = support::server("good");
        bench.program(&["run", "--cases", &cases, "--spawn", &good, "--report", &json]).has_code(70);
        let (old, new) = (format!("old={}", bench.word("good.json")), format!("new={}", bench.word("bad.json")));
        let output = bench.word(MATRIX);
        bench.program(&["compare", &old, &new, "--format", "html", "--output", &output]).has_code(0);
        Made { bench }
    }
}

/// The report of a run.
const PAGE: &str = "report.html";
/// Two reports side by side.
const MATRIX: &str = "matrix.html";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let chromium = browser::path();
    let axe = axe();
    if chromium.is_none() {
        eprintln!("tests/html_report is ignored: no Chromium is installed (CHROMIUM, or in PATH)");
    } else if axe.is_none() {
        eprintln!("what axe looks for is ignored: run ci/axe, which fetches axe-core, or set AXE to its axe.min.js");
    }
    let plain: [(&str, &'static str, Test); 14] = [
        ("no_script_error_and_nothing_asked_of_anybody", PAGE, quiet),
        ("a_filter_and_a_search_narrow_a_list_and_are_taken_back", PAGE, narrows),
        ("each_link_leads_to_what_is_then_seen", PAGE, leads),
        ("nothing_but_boxes_of_bytes_is_wider_than_a_phone", PAGE, fits_a_phone),
        ("the_keyboard_reaches_everything_and_its_place_is_seen", PAGE, keyboard),
        ("without_a_script_all_of_it_can_be_read", PAGE, without_script),
        ("a_command_is_marked_as_a_whole_and_can_be_copied", PAGE, copies),
        ("compared_no_script_error_and_nothing_asked_of_anybody", MATRIX, quiet),
        ("compared_what_differs_is_shown_first_and_all_where_that_is_wanted", MATRIX, narrows_matrix),
        ("compared_each_link_leads_to_what_is_then_seen", MATRIX, leads),
        ("compared_nothing_but_tables_is_wider_than_a_phone", MATRIX, fits_a_phone),
        ("compared_the_keyboard_reaches_everything_and_its_place_is_seen", MATRIX, keyboard),
        ("compared_without_a_script_all_of_it_can_be_read", MATRIX, without_script),
        ("compared_the_head_and_the_requirement_stay_where_they_are", MATRIX, stays),
    ];
    let mut trials: Vec<Trial> = plain
        .into_iter()
        .map(|(name, page, test)| {
            let path = chromium.clone();
            let is_ignored = path.is_none();
            Trial::test(name, move || played(path.as_deref(), page, test)).with_ignored_flag(is_ignored)
        })
        .collect();
    for (name, page, dark) in [
        ("axe_finds_nothing_by_day", PAGE, false),
        ("axe_finds_nothing_by_night", PAGE, true),
        ("compared_axe_finds_nothing_by_day", MATRIX, false),
        ("compared_axe_finds_nothing_by_night", MATRIX, true),
    ] {
        let (path, source) = (chromium.clone(), axe.clone());
        let is_ignored = path.is_none() || source.is_none();
        let test = move || {
            let source = source.unwrap_or_default();
            played(path.as_deref(), page, move |browser, page| accessible(browser, page, dark, &source))
        };
        trials.push(Trial::test(name, test).with_ignored_flag(is_ignored));
    }
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    drop(MADE.lock().unwrap_or_else(PoisonError::into_inner).take());
    code
}

/// The text of axe-core: of `AXE`, or where `ci/axe` puts it.
fn axe() -> Option<String> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/axe.min.js");
    let path = std::env::var_os("AXE").map_or(fetched, PathBuf::from);
    std::fs::read_to_string(path).ok()
}

fn played(chromium: Option<&Path>, page: &str, test: impl FnOnce(&mut Browser, &Path)) -> Result<(), Failed> {
    let chromium = chromium.ok_or("no Chromium is installed (CHROMIUM, or in PATH)")?;
    // One browser at a time: a machine may have little memory.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = made.get_or_insert_with(Made::new).bench.path(page);
    test(&mut Browser::start(chromium), &page);
    Ok(())
}

fn quiet(browser: &mut Browser, page: &Path) {
    browser.open(page, DESK);
    let forms = browser.value("document.querySelectorAll('form.filter:not([hidden])').length");
    assert_eq!(forms, browser.value("document.forms.length"), "the script did not run");
    assert_ne!(forms, 0);
    let asked: Vec<&str> = browser
        .events("Network.requestWillBeSent")
        .iter()
        .map(|event| event["request"]["url"].as_str().unwrap())
        .filter(|url| !url.starts_with("data:"))
        .collect();
    assert_eq!(asked, [format!("file://{}", page.display())]);
    assert_eq!(browser.events("Runtime.exceptionThrown"), Vec::<&Value>::new());
    assert_eq!(browser.events("Log.entryAdded"), Vec::<&Value>::new());
    // Its policy lets no script in, whoever asks for it.
    let added = "const s = document.createElement('script'); s.textContent = 'window.added = 1'; document.body.append(s); String(window.added)";
    assert_eq!(browser.value(added), "undefined");
    assert_eq!(browser.events("Log.entryAdded").len(), 1);
}

fn narrows(browser: &mut Browser, page: &Path) {
    browser.open(page, DESK);
    let shown = "[...document.querySelectorAll('#all-requirements .row')].filter((row) => row.checkVisibility()).map((row) => row.id)";
    let said = "document.querySelector('form[data-list=all-requirements] output').textContent";
    let all = browser.value(shown).as_array().unwrap().len();
    assert!(all > 400, "{all}");
    assert_eq!(browser.value(said), format!("{all} of {all}"));
    let select = |status: &str| {
        format!(
            "{{ const s = document.getElementById('all-requirements-status'); s.value = '{status}'; \
             s.dispatchEvent(new Event('input', {{ bubbles: true }})) }}"
        )
    };
    browser.value(&select("violated"));
    let violated = browser.value(shown);
    assert!(violated.as_array().unwrap().contains(&json!("requirement-RESET-02")), "{violated}");
    let with_status = "[...document.querySelectorAll('#all-requirements [data-status=violated]')].map((row) => row.id)";
    assert_eq!(violated, browser.value(with_status));
    browser.value("document.getElementById('all-requirements-words').focus()");
    browser.type_text("reset-02");
    assert_eq!(browser.value(shown), json!(["requirement-RESET-02"]));
    assert_eq!(browser.value(said), format!("1 of {all}"));
    assert_eq!(
        browser.value(
            "[...document.querySelectorAll('#all-requirements .group')].filter((one) => one.checkVisibility()).length"
        ),
        1
    );
    browser.value("document.querySelector('form[data-list=all-requirements] button').click()");
    assert_eq!(browser.value(shown).as_array().unwrap().len(), all);
    assert_eq!(browser.value("document.getElementById('all-requirements-words').value"), "");
    // What stands folded in a row is searched as well, and groups of cases open for what is found.
    browser.value("document.getElementById('all-cases-words').focus()");
    browser.type_text("MORE.skipped");
    let cases = "[...document.querySelectorAll('#all-cases [data-status]')].filter((row) => row.checkVisibility()).map((row) => row.id)";
    assert_eq!(browser.value(cases), json!(["case-more.skipped"]));
    browser.value("document.querySelector('form[data-list=all-cases] button').click()");
    assert_eq!(browser.value(cases), json!([]), "the groups are folded again");
}

fn narrows_matrix(browser: &mut Browser, page: &Path) {
    browser.open(page, DESK);
    let shown = "[...document.querySelectorAll('#all-requirements tr[data-status]')].filter((row) => row.checkVisibility()).map((row) => row.id)";
    let having = |value: &str| {
        format!(
            "[...document.querySelectorAll('#all-requirements tr[data-status]')].filter((row) => \
             row.dataset.status.split('|').includes('{value}')).map((row) => row.id)"
        )
    };
    let said = "document.querySelector('form.filter output').textContent";
    let select = |name: &str, value: &str| {
        format!(
            "{{ const s = document.getElementById('all-requirements-{name}'); s.value = '{value}'; \
             s.dispatchEvent(new Event('input', {{ bubbles: true }})) }}"
        )
    };
    let differs = browser.value(shown);
    assert!(differs.as_array().unwrap().contains(&json!("requirement-RESET-01")), "{differs}");
    assert_eq!(differs, browser.value(&having("differs")));
    browser.value("document.querySelector('form.filter button').click()");
    let all = browser.value(shown).as_array().unwrap().len();
    assert!(all > 400, "{all}");
    assert_eq!(browser.value(said), format!("{all} of {all}"));
    browser.value(&select("status", "violated-1"));
    assert_eq!(browser.value(shown), browser.value(&having("violated-1")));
    browser.value(&select("section", "INFO"));
    assert_eq!(browser.value(shown), json!([]), "no requirement of this section is violated");
    browser.value(&select("status", ""));
    let of_section = browser.value(shown);
    assert!(of_section.as_array().unwrap().iter().all(|id| id.as_str().unwrap().starts_with("requirement-INFO-")));
    let groups = "[...document.querySelectorAll('#all-requirements .group')].filter((one) => one.checkVisibility()).map((one) => one.id)";
    assert_eq!(browser.value(groups), json!(["section-INFO"]));
    browser.value("document.querySelector('form.filter button').click()");
    // What stands folded in a cell is searched as well.
    browser.value("document.getElementById('all-requirements-words').focus()");
    browser.type_text("MORE.crash");
    let found = browser.value(shown);
    assert!(found.as_array().unwrap().contains(&json!("requirement-RESET-02")), "{found}");
    // What was found is shown to who has no mouse.
    browser.value("document.querySelector('#requirement-RESET-02 td summary').focus()");
    browser.press("Enter", 13);
    assert_eq!(browser.value("document.querySelector('#requirement-RESET-02 .found').checkVisibility()"), true);
}

/// Wherever one has scrolled to in the table.
fn stays(browser: &mut Browser, page: &Path) {
    for width in [1280, 390] {
        browser.open(page, Look { width, ..DESK });
        browser.value("document.querySelector('form.filter button').click()");
        // Three more reports, for a table that is wider than any screen.
        browser.value(
            "document.querySelectorAll('#all-requirements tr:not(.section)').forEach((row) => { \
             for (let n = 0; n < 9; n++) row.append(row.lastElementChild.cloneNode(true)) })",
        );
        let places = "{ const box = document.querySelector('.scroll.high'); box.scrollTo(700, 3000); \
                      const at = box.getBoundingClientRect(); \
                      const head = box.querySelector('thead th:nth-child(5)').getBoundingClientRect(); \
                      const first = document.elementFromPoint(at.left + 20, at.top + 300).closest('th'); \
                      [box.scrollLeft, box.scrollTop, Math.abs(head.top - at.top) < 3, first?.scope, \
                       Math.abs(first?.getBoundingClientRect().left - at.left) < 3] }";
        browser.value("document.querySelector('.scroll.high').scrollIntoView()");
        let mut told = browser.value(places);
        if told[3] == "rowgroup" {
            told[3] = json!("row");
            told[4] = json!(true);
        }
        assert_eq!(told, json!([700, 3000, true, "row", true]), "{width} pixels");
    }
}

fn leads(browser: &mut Browser, page: &Path) {
    let follow = "(async () => {
        const lost = [];
        const links = [...new Set([...document.querySelectorAll(\"a[href^='#']\")].map((link) => link.getAttribute('href')))];
        for (const link of links) {
            const arrived = new Promise((done) => addEventListener('hashchange', done, { once: true }));
            document.querySelector(`a[href='${link}']`).click();
            await arrived;
            const target = document.getElementById(link.slice(1));
            const box = target?.getBoundingClientRect();
            if (!target?.checkVisibility() || box.bottom < 0 || box.top > innerHeight) lost.push(link);
        }
        return { count: links.length, lost };
    })()";
    browser.open(page, DESK);
    let followed = browser.value(follow);
    assert_eq!(followed["lost"], json!([]));
    assert!(followed["count"].as_u64().unwrap() > 30, "{followed}");
    // What is narrowed away comes back for who follows a link to it.
    browser.open(page, DESK);
    browser.value("document.getElementById('all-requirements-words').focus()");
    browser.type_text("no requirement has these words");
    assert_eq!(browser.value("document.getElementById('requirement-RESET-02').checkVisibility()"), false);
    browser.value("new Promise((done) => { addEventListener('hashchange', done, { once: true }); location.hash = '#requirement-RESET-02' }).then(() => 1)");
    assert_eq!(browser.value("document.getElementById('requirement-RESET-02').checkVisibility()"), true);
    assert_ne!(browser.value("document.getElementById('requirement-RESET-02').open"), false, "a fold that stays shut");
}

const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((one) => { one.open = true })";

fn fits_a_phone(browser: &mut Browser, page: &Path) {
    for (width, dark) in [(390, false), (320, true)] {
        browser.open(page, Look { width, dark, script: true });
        for folded in [true, false] {
            if !folded {
                browser.value(OPEN_ALL);
            }
            let widths = browser.value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
            assert_eq!(widths[0], widths[1], "{width} pixels, folded: {folded}");
        }
        let boxes = "[...document.querySelectorAll('*')].filter((one) => one.scrollWidth > one.clientWidth + 1 && \
                     ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)).map((one) => [one.className, one.tabIndex])";
        for scrolled in browser.value(boxes).as_array().unwrap() {
            assert_eq!(scrolled[1], 0, "a box that the keyboard cannot scroll: {scrolled}");
        }
    }
}

fn keyboard(browser: &mut Browser, page: &Path) {
    browser.open(page, DESK);
    browser.press("Tab", 9);
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    assert_eq!(
        browser.value("document.activeElement.getBoundingClientRect().left >= 0"),
        true,
        "a skip link that is not seen"
    );
    browser.press("Enter", 13);
    assert_eq!(browser.value("document.activeElement.id"), "report");
    let focusable = "document.querySelectorAll('main :is(a[href], summary, button, select, input, [tabindex=\"0\"])')";
    let all =
        browser.value(&format!("[...{focusable}].filter((one) => one.checkVisibility()).length")).as_u64().unwrap();
    // A browser leaves the page after its last element.
    for n in 0..all {
        browser.press("Tab", 9);
        let seen = browser.value(
            "{ const one = document.activeElement; const outline = getComputedStyle(one); one !== document.body && \
             outline.outlineStyle !== 'none' && parseFloat(outline.outlineWidth) >= 2 }",
        );
        assert_eq!(seen, true, "after {n}: {}", browser.value("document.activeElement.outerHTML.slice(0, 200)"));
        if n > 150 {
            return;
        }
    }
}

fn without_script(browser: &mut Browser, page: &Path) {
    browser.open(page, Look { script: false, ..DESK });
    assert_eq!(
        browser.value("document.querySelectorAll('form.filter:not([hidden]), button[data-copy]:not([hidden])').length"),
        0
    );
    let hidden = "[...document.querySelectorAll('main *')].filter((one) => !one.checkVisibility() && !one.closest('details:not([open])') \
                  && !one.closest('form, button, [aria-hidden=true]')).map((one) => one.outerHTML.slice(0, 80))";
    assert_eq!(browser.value(hidden), json!([]));
    // Each fold opens by itself.
    assert_eq!(browser.value("document.querySelectorAll('details:not(:has(> summary))').length"), 0);
}

fn copies(browser: &mut Browser, page: &Path) {
    browser.open(page, DESK);
    assert_eq!(browser.value("getComputedStyle(document.querySelector('.command code')).userSelect"), "all");
    let click = "(async () => {
        const button = document.querySelector('.finding button[data-copy]');
        const changed = new Promise((done) => new MutationObserver(done).observe(button, { childList: true, characterData: true, subtree: true }));
        button.click();
        await changed;
        return [button.textContent, getSelection().toString()];
    })()";
    let done = browser.value(click);
    let marked = done[0] == "Marked" && done[1].as_str().unwrap().contains("vfio-user-conformance run");
    assert!(done[0] == "Copied" || marked, "{done}");
}

fn accessible(browser: &mut Browser, page: &Path, dark: bool, axe: &str) {
    // Of hundreds of rows of requirements one of each status is opened: the others are like it.
    let open_each_kind = "{ const seen = new Set(); document.querySelectorAll('details').forEach((one) => { \
                          const kind = one.dataset.status ?? one.closest('td, th[scope=row]')?.className ?? one; \
                          one.open = !seen.has(kind); seen.add(kind) }) }";
    for width in [1280, 390] {
        browser.open(page, Look { width, dark, script: true });
        browser.value(open_each_kind);
        browser.value(&format!("{axe}; 1"));
        let found = browser.value(
            "axe.run(document, { preload: false }).then((results) => ({
                passes: results.passes.length,
                violations: results.violations.map((one) => [one.id, one.help, one.nodes.slice(0, 5).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary)]),
            }))",
        );
        assert_eq!(found["violations"], json!([]), "{width} pixels");
        assert!(found["passes"].as_u64().unwrap() > 20, "{found}");
    }
}
