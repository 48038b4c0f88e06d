//! The README and the book: each command does what is printed below it, each link leads somewhere, and each page is listed.
//!
//! What was printed by gpio, a server of others, is compared where `GPIO` names the program (of version 0.1.7), and ignored elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod commands;
mod page;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use page::Page;
use stage::Programs;

/// What must hold of the pages.
type Test = fn() -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let gpio = env::var_os("GPIO").map(PathBuf::from);
    if gpio.is_none() {
        eprintln!(
            "what gpio prints is ignored: set GPIO to it (cargo install vfio_user --version 0.1.7 --example gpio)"
        );
    }
    // Before there are threads: a program that is still open for writing in a process that another thread starts cannot be run.
    let stand_ins = Arc::new(Programs::new(None));
    let with_gpio = gpio.as_deref().map(|gpio| Arc::new(Programs::new(Some(gpio))));
    let plain: [(&str, Test); 6] = [
        ("each_link_leads_somewhere", links),
        ("each_block_says_what_it_is", blocks),
        ("each_page_is_in_the_table_of_contents_and_in_the_readme", listed),
        ("what_is_said_not_to_be_run_is_there", commands::exceptions_are_there),
        ("a_link_to_nothing_is_found", dead_links_are_found),
        ("a_block_that_does_not_say_what_it_is_is_found", unnamed_blocks_are_found),
    ];
    let mut trials: Vec<Trial> = plain.into_iter().map(|(name, test)| Trial::test(name, test)).collect();
    let programs = Arc::clone(&stand_ins);
    let test = move || commands::differences_are_found(&programs);
    trials.push(Trial::test("what_prints_or_ends_otherwise_is_found", test));
    for page in Page::all() {
        let page = Arc::new(page);
        let path = page.path.clone();
        if page.commands(false).next().is_some() {
            let (page, programs) = (Arc::clone(&page), Arc::clone(&stand_ins));
            let is_ignored = commands::not_here(&page).is_some();
            let test = move || commands::hold(&page, &programs, false);
            trials.push(Trial::test(format!("commands::{path}"), test).with_ignored_flag(is_ignored));
        }
        if page.commands(true).next().is_some() {
            let programs = with_gpio.clone();
            let is_ignored = programs.is_none();
            let test = move || commands::hold(&page, programs.as_ref().ok_or("GPIO is not set")?, true);
            trials.push(Trial::test(format!("commands_with_gpio::{path}"), test).with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

impl Page {
    fn path(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }
}

fn links() -> Result<(), Failed> {
    told(Page::all().iter().flat_map(Page::dead_links))
}

fn blocks() -> Result<(), Failed> {
    told(Page::all().iter().flat_map(Page::unnamed))
}

fn listed() -> Result<(), Failed> {
    let pages = Page::all();
    let in_book = |page: &&Page| page.path.starts_with("docs/") && page.path != "docs/SUMMARY.md";
    let there: BTreeSet<&str> = pages.iter().filter(in_book).map(|page| page.path.as_str()).collect();
    let listed = Page::read("docs/SUMMARY.md").linked();
    let of_readme = Page::read("README.md").linked();
    let missing =
        there.iter().filter(|page| !listed.contains(**page)).map(|page| format!("docs/SUMMARY.md lacks {page}"));
    let unread = there.iter().filter(|page| !of_readme.contains(**page)).map(|page| format!("README.md lacks {page}"));
    told(missing.chain(unread))
}

fn dead_links_are_found() -> Result<(), Failed> {
    let dead = |path: &str, text: &str| Page::of(path, text).dead_links().len();
    let heading = "# 9. A `code`, twice\n\n## Twice\n\n## Twice\n\n";
    let count = |link: &str| dead("docs/x.md", &format!("{heading}[x]({link})"));
    for link in ["ci.md", "ci.md#exit-codes", "#9-a-code-twice", "#twice-1", "https://example.org/none", "coverage.txt"]
    {
        assert_eq!(count(link), 0, "{link}");
    }
    for link in ["none.md", "ci.md#none", "#twice-2", "../README.md", "../docs/ci.md", "#Twice"] {
        assert_eq!(count(link), 1, "{link}");
    }
    assert_eq!(dead("README.md", "[x](docs/ci.md) [y](none) ![z](none.png)"), 2);
    Ok(())
}

fn unnamed_blocks_are_found() -> Result<(), Failed> {
    let count = |text: &str| Page::of("docs/x.md", text).unnamed().len();
    for text in
        ["```sh\ntrue\n```", "```console\n$ true\n```\n\n```text\nx\n```", "- `run`\n\n  ```toml\n  x = 1\n  ```"]
    {
        assert_eq!(count(text), 0, "{text}");
    }
    for text in ["```\ntrue\n```", "```shell\ntrue\n```", "text\n\n    true\n", "- a\n\n  ```\n  true\n  ```"] {
        assert_eq!(count(text), 1, "{text}");
    }
    Ok(())
}

/// No complaint, or all of them.
fn told(complaints: impl Iterator<Item = String>) -> Result<(), Failed> {
    let complaints: Vec<String> = complaints.collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}
