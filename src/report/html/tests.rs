//! What stands on the page, and that nothing of what others wrote does more than stand there.

use pretty_assertions::assert_eq;

use super::*;
use crate::report::frame::checks::{assert_is_ours, assert_links_lead_somewhere, between, poison, values, words};
use crate::report::{Report, sample};
use crate::run::{End, Generated};
use crate::session::{Entry, Way};
use crate::verdict::{Answered, CaseRecord, CaseResult, Differential, Divergence, FieldMark, Side, Status};

/// The report of the sample's run with these cases and this end.
fn report(cases: Vec<CaseRecord>, end: End, change: impl FnOnce(&mut Context<'_>)) -> Report {
    let register = sample::register();
    let mut context = sample::context(&register);
    context.selected = sample::names(&cases);
    change(&mut context);
    let mut collector = Collector::of_findings(context);
    collector.event(&sample::start());
    for case in cases {
        collector.event(&Event::CaseFinished(Box::new(case)));
    }
    collector.event(&Event::Ended(end)).unwrap()
}

fn complete() -> End {
    End { complete: true, ..End::default() }
}

fn every_kind() -> Report {
    let pins: &'static _ = Box::leak(Box::new(sample::expectations()));
    report(sample::cases(), complete(), |context| context.expectations = Some(pins))
}

fn shown(report: &Report) -> String {
    page(report, &sample::register())
}

#[test]
fn what_was_tested_and_what_came_of_it_stand_at_the_head() {
    let page = shown(&report(sample::cases(), complete(), |_| ()));
    let head = words(between(&page, "<body>", "<h2 id=\"findings\""));
    for said in [
        "gpio --socket-path {socket}",
        "Exit code 70: a case is in error",
        "0.9.2: it answers DMA_UNMAP as 0.9.2 says",
        &format!("vfio-user-conformance {} on linux", env!("CARGO_PKG_VERSION")),
        "seed7",
        "vfio-user-conformance run --spawn gpio",
        "DEVICE_GET_REGION_INFO of region 9: no answer",
        "10 cases",
        "pass1fail4skip3inconclusive1error1",
        "3 requirements",
        "violated2",
        "1 note.",
    ] {
        assert!(head.contains(said), "{said}\n{head}");
    }
    assert!(!head.contains("incomplete"), "{head}");
}

#[test]
fn parts_stand_in_the_order_in_which_they_are_read() {
    let page = shown(&every_kind());
    let headings =
        ["run", "totals", "findings", "violations", "notes", "requirements", "cases", "every-case", "expectations"];
    let places: Vec<usize> = headings.map(|id| page.find(&format!(" id=\"{id}\"")).unwrap()).to_vec();
    assert!(places.is_sorted(), "{places:?}");
    let levels: Vec<u32> =
        page.match_indices("<h").filter_map(|(at, _)| page.get(at + 2..at + 3)?.parse().ok()).collect();
    assert_eq!(levels.first(), Some(&1));
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "a heading without the one above it: {levels:?}");
}

#[test]
fn a_finding_tells_requirement_clause_and_both_answers_and_marks_the_field_twice() {
    let mut case = sample::wrong_errno();
    case.findings[0].seen = Some((1, 3));
    let page = shown(&report(vec![case], complete(), |_| ()));
    let finding = between(&page, "<article class=\"finding violation\"", "</article>");
    let text = words(finding);
    for said in [
        "violation HDR-20 MUST",
        "A DMA_MAP over an existing region must be refused with EEXIST in the error field.",
        "vfio-user 0.9.2, DMA_MAP, line 653",
        "expectederror EEXIST",
        "goterror EINVAL",
        "seen1 of 3 times",
        "dma-map.overlap, step 2 (cases/dma.case:7)",
        "client to server: DMA_MAP",
        "server to client: DMA_MAP error id=2 size=16 errno=22 (EINVAL)",
        "vfio-user-conformance run --spawn 'gpio --socket-path {socket}' 'dma-map.overlap'",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let subject = between(finding, "<li class=\"received subject\">", "</li>");
    assert!(subject.contains("<details open>"), "{subject}");
    assert_eq!(subject.matches("<mark>").count(), 4, "{subject}");
    assert!(subject.contains("<mark>errno=22 (EINVAL)</mark>"), "{subject}");
    assert!(subject.contains("<mark>header.error</mark>") && subject.contains("<mark>22</mark>"), "{subject}");
    let bytes = "02 00 02 00 10 00 00 00  21 00 00 00 <mark>16 00 00 00</mark>";
    assert!(subject.contains(bytes), "{subject}");
    assert_eq!(finding.matches("<mark>").count(), 4, "another message is marked\n{finding}");
    // The messages behind the one that it is about, and before it, can be looked at.
    assert_eq!(finding.matches("<details>").count(), 5, "{finding}");
}

#[test]
fn a_crash_tells_how_the_server_ended_and_what_it_wrote_once_for_each_case() {
    let mut case = sample::crash("header.surplus/DMA_MAP");
    let mut other = case.findings[0].clone();
    other.requirement = "HDR-20".to_owned();
    case.findings.push(other);
    let page = shown(&report(vec![case], complete(), |_| ()));
    let first = words(between(&page, "id=\"finding-HDR-19-header.surplus~2fDMA_MAP\"", "</article>"));
    assert!(first.contains("It ended: signal SIGABRT."), "{first}");
    assert!(first.contains("range end index 36 out of range \\u{1b}[31m"), "{first}");
    assert!(first.contains("the server closed the connection"), "{first}");
    assert!(first.contains("A-36, surplus payload: Refused, ignored or closed."), "{first}");
    let second = between(&page, "id=\"finding-HDR-20-header.surplus~2fDMA_MAP\"", "</article>");
    assert!(!second.contains("range end index"), "{second}");
    assert!(second.contains("href=\"#finding-HDR-19-header.surplus~2fDMA_MAP\""), "{second}");
}

#[test]
fn findings_of_one_kind_stand_once_and_name_their_cases() {
    let page = shown(&report(sample::cases(), complete(), |_| ()));
    assert_eq!(page.matches("<article class=\"finding violation\"").count(), 2);
    let finding = words(between(&page, "id=\"finding-HDR-19-", "</article>"));
    assert!(finding.contains("and 2 moreheader.surplus/DMA_MAPheader.surplus/DMA_UNMAP"), "{finding}");
}

#[test]
fn causes_stand_before_the_findings() {
    let mut report = every_kind();
    report.causes = vec![crate::verdict::Cause {
        command: "DMA_MAP".to_owned(),
        actual: "the server crashed".to_owned(),
        cases: 3,
        requirements: vec!["HDR-19".to_owned(), "HDR-20".to_owned()],
    }];
    let page = shown(&report);
    let causes = between(&page, "id=\"causes\"", "id=\"violations\"");
    assert!(words(causes).contains("3 cases for one cause: at DMA_MAP, the server crashedHDR-19 HDR-20"), "{causes}");
    assert_links_lead_somewhere(&page);
}

#[test]
fn a_requirement_says_what_it_is_and_leads_to_its_findings_and_cases() {
    let page = shown(&every_kind());
    let violated =
        between(&page, "<details class=\"row\" id=\"requirement-HDR-20\" data-status=\"violated\">", "</details>");
    let text = words(violated);
    for said in
        ["HDR-20", "violated", "MUST", "clausevfio-user 0.9.2, DMA_MAP, line 653", "stimulusTwo maps that overlap."]
    {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(violated.contains("href=\"#finding-HDR-20-dma-map.overlap\""), "{violated}");
    assert!(violated.contains("href=\"#case-dma-map.overlap\""), "{violated}");
    let matrix = words(between(&page, "<table class=\"matrix\">", "</table>"));
    assert!(matrix.ends_with("Header and message framing20100"), "{matrix}");
}

#[test]
fn a_requirement_that_was_not_exercised_says_why() {
    let page = shown(&report(Vec::new(), complete(), |_| ()));
    let row = words(between(&page, "id=\"requirement-HDR-20\"", "</details>"));
    assert!(row.contains("not exercised") && row.contains("why not exercisedno selected case checks it"), "{row}");
}

#[test]
fn what_another_register_says_of_an_id_is_not_told() {
    let mut report = every_kind();
    report.requirements.get_mut("HDR-20").unwrap().text = "Something else.".to_owned();
    let page = shown(&report);
    assert!(!page.contains("Two maps that overlap."), "the stimulus of another requirement");
    assert!(page.contains("Surplus bytes."));
    report.requirements.insert("NEW-1".to_owned(), report.requirements["HDR-19"].clone());
    let page = shown(&report);
    assert!(words(between(&page, "id=\"section-NEW\"", "</details>")).contains("NEW-1"));
}

#[test]
fn cases_tell_their_results_and_reasons() {
    let page = shown(&every_kind());
    let skips = words(between(&page, "id=\"skipped\"", "id=\"every-case\""));
    assert!(skips.contains("2the target has no scratch rangeregion.largeregion.scratch"), "{skips}");
    let late = words(between(&page, "id=\"inconclusive\"", "id=\"in-error\""));
    assert!(late.contains("no reply to DEVICE_SET_IRQS within 2 s in 1 of 3 attempts"), "{late}");
    assert!(late.contains("'irq.late'"), "no command that runs it again: {late}");
    let row = between(&page, "<tr id=\"case-dma-map.overlap\" data-status=\"fail\">", "</tr>");
    assert!(
        row.contains("href=\"#finding-HDR-20-dma-map.overlap\"") && row.contains("href=\"#requirement-HDR-20\""),
        "{row}"
    );
    assert!(words(row).ends_with("fail0.25"), "{row}");
    for case in sample::cases() {
        assert!(page.contains(&format!("<tr id=\"case-{}\"", crate::report::frame::slug(&case.name))), "{}", case.name);
    }
}

#[test]
fn expectations_tell_what_drifted_and_what_is_known() {
    let page = shown(&every_kind());
    let told = words(between(&page, "id=\"expectations\"", "</main>"));
    assert!(told.contains("\"violation\" on HDR-20 is not pinned") || told.contains("not pinned"), "{told}");
    assert!(told.contains("a slice out of range, fixed in 0.1.8"), "{told}");
    assert!(page.contains("<a href=\"https://example.org/issues/12\" rel=\"noopener noreferrer\">"));
    // What is known stands behind what is new.
    let new = page.find("id=\"finding-HDR-20-dma-map.overlap\"").unwrap();
    assert!(new < page.find("id=\"pinned\"").unwrap());
    assert!(words(between(&page, "id=\"finding-HDR-19-", "</article>")).contains("pinneda slice out of range"));
}

#[test]
fn only_an_address_of_the_web_is_a_link() {
    let mut report = every_kind();
    let met = report.expectations.as_mut().unwrap().met.first_mut().unwrap();
    met.link = Some("javascript:alert(1)".to_owned());
    let page = shown(&report);
    assert!(page.contains("<code>javascript:alert(1)</code>"));
    assert!(!page.contains("href=\"javascript"));
}

#[test]
fn a_run_that_is_incomplete_says_so_at_once() {
    let interrupted = End { interrupted: true, ..End::default() };
    let names = sample::names(&sample::cases());
    let mut cut_short =
        report(vec![sample::crash("header.surplus/DMA_MAP")], interrupted, |context| context.selected = names);
    cut_short.shard = Some(crate::report::Shard { index: 2, count: 3, selected: 30, selected_sha256: None });
    let page = shown(&cut_short);
    let head = words(between(&page, "<header>", "</header>"));
    assert!(head.contains("This run is incomplete. 9 of 10 selected cases have no result"), "{head}");
    assert!(head.contains("the run was interrupted"), "{head}");
    assert!(head.contains("Part 2 of 3."), "{head}");
    let missing = words(between(&page, "id=\"not-run\"", "id=\"every-case\""));
    assert!(missing.contains("irq.late") && !missing.contains("header.surplus/DMA_MAP"), "{missing}");
    assert_links_lead_somewhere(&page);
}

#[test]
fn a_target_that_could_not_be_started_gives_a_page_that_says_so() {
    let register = sample::register();
    let mut collector = Collector::of_findings(sample::context(&register));
    let lost = End { lost: Some("gpio: No such file or directory".to_owned()), ..End::default() };
    let report = collector.event(&Event::Ended(lost)).unwrap();
    let page = shown(&report);
    let head = words(between(&page, "<body>", "id=\"totals\""));
    for said in [
        "Exit code 4",
        "This run is incomplete.",
        "gpio: No such file or directory",
        "no session could be had (auto was asked for)",
    ] {
        assert!(head.contains(said), "{said}\n{head}");
    }
    assert_links_lead_somewhere(&page);
    assert_is_ours(&page);
}

#[test]
fn every_link_leads_somewhere_and_no_id_stands_twice() {
    let page = shown(&every_kind());
    assert!(values(&page, "href").len() > 40);
    assert_links_lead_somewhere(&page);
    // Two results for one name are a fault of ours, and no reason for a page that nobody can use.
    let mut twice = every_kind();
    twice.cases.push(twice.cases[0].clone());
    let mut other = twice.cases[0].clone();
    other.findings[0].actual = "something else".to_owned();
    twice.cases.push(other);
    assert_links_lead_somewhere(&shown(&twice));
}

#[test]
fn the_page_needs_nothing_from_anywhere_and_permits_nothing() {
    use base64::Engine;
    use sha2::Digest;
    let page = shown(&every_kind());
    assert_is_ours(&page);
    for reference in
        ["url(", "@import", "<link rel=\"stylesheet", "fetch(", "XMLHttpRequest", "import(", " onclick", " onload"]
    {
        assert!(!page.contains(reference), "{reference}");
    }
    let outside: Vec<&str> =
        page.match_indices("//").filter_map(|(at, _)| page.get(at.saturating_sub(7)..at)).collect();
    let outside: Vec<&str> =
        outside.into_iter().filter(|before| before.ends_with("http:") || before.ends_with("https:")).collect();
    assert_eq!(outside.len(), 2, "the address and the text of one pin's link: {outside:?}");
    let policy = between(&page, "Content-Security-Policy\" content=\"", ">");
    assert!(policy.contains("default-src 'none';"), "{policy}");
    for element in ["style", "script"] {
        let text = page.split(&format!("<{element}>")).nth(1).unwrap().split(&format!("</{element}>")).next().unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text));
        assert!(policy.contains(&format!("{element}-src 'sha256-{digest}';")), "{element} {digest}\n{policy}");
    }
}

fn differential() -> Differential {
    let case = sample::wrong_errno();
    let side = |answered, findings: &[crate::verdict::Finding], reply: Option<Entry>| Side {
        answered: Some(answered),
        said: "error EINVAL".to_owned(),
        reply,
        findings: findings.to_vec(),
        replay: "vfio-user-conformance replay x.case".to_owned(),
    };
    let divergence = Divergence {
        command: "DMA_MAP".to_owned(),
        differs: None,
        step: 3,
        before: case.transcript[..4].to_vec(),
        sent: Some(case.transcript[4].clone()),
        a: side(Answered::Error(22), &case.findings[..1], Some(case.transcript[5].clone())),
        b: side(Answered::Silence, &[], None),
        sequences: 2,
        seen: Some((2, 3)),
        file: "keep/dma-map-1.case".to_owned(),
    };
    Differential {
        against: "other --socket-path {socket}".to_owned(),
        offers: vec!["A has a migration region".to_owned()],
        sequences: 200,
        steps: 900,
        answered: 800,
        parted: 2,
        by_offer: 1,
        divergences: vec![divergence],
        ..Differential::default()
    }
}

#[test]
fn where_two_servers_part_is_told_of_both() {
    let mut report = report(Vec::new(), complete(), |_| ());
    report.differential = Some(Box::new(differential()));
    let page = shown(&report);
    let told = words(between(&page, "id=\"differential\"", "id=\"findings\""));
    for said in [
        "B is other --socket-path {socket}.",
        "200 sequences of 900 messages to both: they part in 2, for 1 cause.",
        "A has a migration region",
        "DMA_MAP: A refuses, B is silent",
        "violation of HDR-20: expected error EEXIST; got error EINVAL",
        "vfio-user-conformance replay x.case",
        "1 answers differ",
    ] {
        assert!(told.contains(said), "{said}\n{told}");
    }
    assert_links_lead_somewhere(&page);
}

#[test]
fn whatever_stands_in_a_report_stays_text() {
    let mut report = every_kind();
    report.differential = Some(Box::new(differential()));
    report.generated = Some(Generated::default());
    report.faults.push("a fault".to_owned());
    report.not_run.push("a case".to_owned());
    report.causes = vec![crate::verdict::Cause {
        command: "DMA_MAP".to_owned(),
        actual: "crashed".to_owned(),
        cases: 1,
        requirements: vec!["HDR-19".to_owned()],
    }];
    report.target.discovered.no("dma", "it has none");
    report.target.discovered.yes("irq", &[("count", 1)]);
    let (poisoned, count) = poison(&serde_json::to_value(&report).unwrap());
    assert!(count > 300, "only {count} texts");
    let page = shown(&poisoned);
    assert_is_ours(&page);
    assert_links_lead_somewhere(&page);
    assert!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() > 200);
    assert!(words(&page).contains("\\u{1b}[2J\\u{202e}"));
}

#[test]
fn a_report_that_was_read_gives_the_same_page() {
    let report = every_kind();
    let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(shown(&read), shown(&report));
}

fn entry(n: usize, direction: Way, bytes: usize) -> Entry {
    Entry {
        n,
        direction,
        length: bytes,
        bytes: "ab".repeat(bytes.min(4096)),
        ..sample::wrong_errno().transcript.remove(4)
    }
}

#[test]
fn of_a_long_conversation_what_is_near_the_finding_is_shown() {
    let mut case = sample::wrong_errno();
    case.findings.truncate(1);
    case.findings[0].message = Some(450);
    case.findings[0].field = Some(FieldMark { name: "data".to_owned(), offset: 2000, length: 4 });
    // The transcript keeps the first ones and the last ones.
    case.transcript = (1..=100).chain(400..=600).map(|n| entry(n, Way::Sent, 100_000)).collect();
    case.findings[0].actual = "x".repeat(1 << 20);
    let page = shown(&report(vec![case], complete(), |_| ()));
    let text = words(between(&page, "<article class=\"finding violation\"", "</article>"));
    assert!(text.contains(".. 430 messages before"), "{text}");
    assert!(text.contains(".. 146 messages after"), "{text}");
    assert!(text.contains(".. 100000 bytes in all"), "{text}");
    assert!(text.contains(" more characters"), "{text}");
    assert!(text.contains("07d0 ab ab ab ab"), "the row of the field: {text}");
    assert!(page.contains("07d0</span>  <mark>ab ab ab ab</mark> ab ab"), "{text}");
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn notes_that_count_are_told_to_count() {
    let of = |strict| shown(&report(sample::cases(), complete(), |context| context.strict = strict));
    let (loose, strict) = (of(false), of(true));
    assert!(loose.contains("fail no run without --strict") && !loose.contains("They count as violations"));
    assert!(
        strict.contains("They count as violations (--strict).") && !strict.contains("fail no run without --strict")
    );
}

#[test]
fn messages_that_were_not_kept_are_counted() {
    let mut case = sample::wrong_errno();
    case.findings.truncate(1);
    case.findings[0].message = None;
    case.transcript = [1, 2, 90, 91].map(|n| entry(n, Way::Received, 16)).to_vec();
    let page = shown(&report(vec![case], complete(), |_| ()));
    assert!(words(&page).contains(".. 87 messages not kept"));
}

#[test]
fn a_server_that_does_everything_wrong_gives_a_page_that_can_be_opened() {
    let cases: Vec<CaseRecord> = (0..600)
        .map(|n| {
            let mut case = sample::crash(&format!("dma-map.overlap/{n}"));
            case.findings[0].actual = format!("error {n}");
            case.findings[0].message = Some(3);
            case.transcript = (1..=30).map(|n| entry(n, Way::Sent, 4096)).collect();
            case.stderr = "a line of a log that is rather long\n".repeat(1_000);
            case
        })
        .collect();
    let page = shown(&report(cases, complete(), |_| ()));
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    assert_eq!(page.matches("<article").count(), 600);
    let last = words(between(&page, "id=\"finding-HDR-19-dma-map.overlap~2f599\"", "</article>"));
    assert!(last.contains("The exchange is left out, for this page has so many"), "{last}");
    assert!(last.contains("'dma-map.overlap/599'"), "{last}");
}

#[test]
fn a_field_that_the_message_has_not_is_told_in_words() {
    let mut case = sample::wrong_errno();
    case.findings.truncate(1);
    case.findings[0].field = Some(FieldMark { name: "argsz".to_owned(), offset: usize::MAX - 1, length: 8 });
    let told = |case: &CaseRecord| {
        let page = shown(&report(vec![case.clone()], complete(), |_| ()));
        words(between(&page, "<article class=\"finding violation\"", "</article>"))
    };
    let text = told(&case);
    assert!(text.contains(&format!("argsz would be at byte {}; the message ends at 16", usize::MAX - 1)), "{text}");
    case.transcript[5].bytes = "zz\u{e9}0".to_owned();
    let text = told(&case);
    assert!(text.contains("0000 ?? ?? ??") || text.contains("0000 ?? ??"), "{text}");
    case.transcript[5].bytes.clear();
    case.transcript[5].fields.clear();
    assert!(told(&case).contains("argsz would be at byte"), "{text}");
}

#[test]
fn statuses_have_a_word_and_a_sign_and_not_a_colour_alone() {
    let mut report = every_kind();
    let statuses = [Status::Violated, Status::Noted, Status::Verified, Status::Observed, Status::NotExercised];
    for (n, status) in statuses.into_iter().enumerate() {
        let mut requirement = report.requirements["HDR-19"].clone();
        requirement.status = status;
        report.requirements.insert(format!("ALL-{n}"), requirement);
    }
    let page = shown(&report);
    let told = ["\u{2715} violated", "! noted", "\u{2713} verified", "\u{25cb} observed", "\u{2013} not exercised"];
    for (n, said) in told.into_iter().enumerate() {
        let row = words(between(&page, &format!("id=\"requirement-ALL-{n}\""), "</summary>"));
        assert!(row.contains(said), "{said}\n{row}");
    }
    for (result, word) in [(CaseResult::Pass, "pass"), (CaseResult::Skip, "skip"), (CaseResult::Error, "error")] {
        let name = &report.with_result(result).next().unwrap().name;
        let row = words(between(&page, &format!("<tr id=\"case-{}\"", crate::report::frame::slug(name)), "</tr>"));
        assert!(row.contains(word), "{row}");
    }
}

#[test]
fn a_run_that_has_ended_writes_its_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let register = sample::register();
    sample::play(&mut Html::new(&path, sample::context(&register)), sample::cases(), sample::ended());
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{page}");
    assert!(page.ends_with("</html>"));
}
