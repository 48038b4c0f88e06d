//! Planted faults that take several steps to show, found by generated sequences alone: nothing here knows what to look
//! for. By calls: no socket, and no process.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Found, Offer, Search};
use vfio_user_conformance::run::{Runner, Timeouts};
use vfio_user_conformance::verdict::{CaseResult, Class};

use crate::direct::DirectMachine;
use crate::fault::{Fault, Kind};
use crate::probed::Probed;

/// One command, whatever it is, shows none of these.
const FAULTS: &[&str] = &[
    "CONC-01/reads-overtake-writes",
    "CONC-02/posted-writes-are-late",
    "DLOG-05/no-range-is-nothing",
    "DLOG-06/reads-are-logged",
    "DLOG-09/the-first-of-the-smaller-pages",
    "DLOG-12/the-highest-bit-first",
    "DLOG-12/the-page-where-it-ends-is-forgotten",
    "DLOG-13/the-rest-of-the-word",
    "DLOG-13/a-report-clears-all",
    "DLOG-16/told-to-nobody",
    "DLOG-25/counted-from-the-start-of-the-map",
    "DLOG-25/the-first-map-alone",
    "DLOG-29/the-maps-that-were-there",
    "DLOG-33/the-first-range",
    "DLOG-37/started-once",
    "DMAP-05/overlap-by-the-start-only",
    "DMAP-05/overlap-by-the-end-only",
    "DMAP-05/one-inside-of-the-other-is-forgotten",
    "DMAP-05/the-identical-range-is-forgotten",
    "DMAP-05/a-table-by-address",
    "DMAP-05/the-last-page-is-forgotten",
    "DMAP-05/the-first-page-is-forgotten",
    "DMAP-05/overlap-with-the-one-below-only",
    "DMAP-05/overlap-with-the-latest-only",
    "DMAP-05/overlap-with-the-first-only",
    "DMAP-06/replaced-and-refused",
    "DMAP-06/the-first-goes-with-the-refused",
    "DMAP-07/touching-is-overlapping",
    "DMAP-07/touching-from-below-is-overlapping",
    "DMAP-07/a-gap-cannot-be-filled",
    "DMAP-14/refused-and-entered",
    "DMARW-02/unmapped-and-still-reached",
    "DMARW-02/on-past-the-end",
    "DMARW-02/the-device-finishes-before-the-unmap",
    "DMARW-04/always-at-the-start",
    "DMARW-04/a-copy-of-the-file",
    "DMARW-08/every-piece-from-the-first-address",
    "DUNMAP-02/by-the-address-only",
    "DUNMAP-02/by-any-address-inside",
    "DUNMAP-02/whatever-it-touches",
    "DUNMAP-02/maps-that-touch-are-one",
    "DUNMAP-03/the-entry-goes-and-the-mapping-stays",
    "DUNMAP-03/let-go-with-the-next-map",
    "DUNMAP-08/the-range-stays-taken",
    "DUNMAP-08/the-range-stays-taken-until-the-next-unmap",
    "DUNMAP-13/the-latest-only",
    "DUNMAP-13/swapped-and-lost",
    "DUNMAP-14/out-of-reach-after-a-refusal",
    "HDR-07/error-bit-sticks",
    "MIGDATA-01/the-stream-outlives-its-session",
    "MIGDATA-02/restored-in-any-state",
    "MIGDATA-04/pieces-of-its-own-size",
    "MIGDATA-04/short-in-the-middle",
    "MIGDATA-05/each-piece-with-a-length-before-it",
    "MIGDATA-06/an-error-at-the-end",
    "MIGDATA-07/what-is-refused-is-lost",
    "MIGDATA-09/0-means-all",
    "MIGDATA-09/0-reads-on",
    "MIGDATA-13/the-last-piece-alone",
    "MIGDATA-14/scratch-bytes-are-left-out",
    "MIGDATA-14/it-does-not-run-again",
    "MIGDATA-14/interrupts-are-forgotten",
    "MIGDATA-16/nothing-the-second-time",
    "MIGDATA-16/the-second-session-goes-on-with-the-first",
    "MIGDATA-19/none-in-pre-copy",
    "MIGDATA-20/two-buffers-that-change-places",
    "MIGFSM-02/the-state-changes-after-the-reply",
    "MIGFSM-04/stop-is-taken-for-running",
    "MIGFSM-05/still-resuming-when-it-answers",
    "MIGFSM-07/once-stopped-stopped",
    "MIGFSM-10/pre-copy-cannot-be-ended",
    "MIGFSM-10/the-stream-begins-again",
    "MIGFSM-12/back-to-pre-copy-by-running",
    "MIGFSM-12/refused-half-way",
    "MIGFSM-16/one-step-of-the-way",
    "MIGFSM-20/combined-arcs-are-refused",
    "MIGFSM-21/one-step-of-the-way",
    "MIGFSM-22/ends-in-stop-copy",
    "MIGFSM-23/set-again-it-runs",
    "MIGFSM-23/set-again-it-toggles",
    "MIGFSM-25/a-refusal-stops-the-device",
    "MIGFSM-26/any-change-is-a-reset",
    "MIGFSM-26/not-even-by-a-reset",
    "MIGFSM-30/maps-wait-until-it-runs",
    "MIGFSM-31/what-was-saved-is-gone",
    "MIGFSM-31/once-saved-it-takes-no-writes",
    "MIGFSM-34/no-maps-in-pre-copy",
    "MIGFSM-34/saved-by-stopping",
    "RWRITE-02/bit-12-is-not-decoded",
    "RWRITE-09/without-a-reply-nothing-is-done",
    "SETIRQS-02/from-the-last-to-the-first",
    "SETIRQS-02/start-is-not-looked-at",
    "SETIRQS-02/the-array-begins-at-vector-0",
    "SETIRQS-02/two-vectors-share-a-descriptor",
    "SETIRQS-02/the-one-above-hears-it-too",
    "SETIRQS-03/count-is-the-end",
    "SETIRQS-04/the-array-begins-at-vector-0",
    "SETIRQS-04/up-to-the-first-false-one",
    "SETIRQS-09/nothing-is-done",
    "SETIRQS-09/the-first-only",
    "SETIRQS-09/all-but-the-first",
    "SETIRQS-09/all-but-the-last",
    "SETIRQS-09/enabled-again-with-the-next",
    "SETIRQS-10/all-of-the-type",
    "SETIRQS-10/from-vector-0",
    "SETIRQS-10/one-too-many",
    "SETIRQS-10/nothing-is-done",
    "SETIRQS-11/the-first-stays",
    "SETIRQS-11/the-first-goes-and-the-second-is-lost",
    "SETIRQS-11/both-hear-it",
    "SETIRQS-11/the-old-one-hears-the-next",
    "SETIRQS-11/the-old-one-stays-open",
    "SETIRQS-11/a-range-fills-the-gaps",
    // A trigger that is refused may have fired in part: the model asks for less than the cases.
    "SETIRQS-12/triggered-before-it-is-checked",
    "SETIRQS-12/disabled-for-it",
    "SETIRQS-14/assigned-until-they-run-out",
    "SETIRQS-14/taken-back-before-they-are-counted",
    "SETIRQS-15/bound-by-a-trigger",
    "SETIRQS-17/a-mask-is-nothing",
    "SETIRQS-17/an-unmask-is-nothing",
    "SETIRQS-17/all-of-the-type-are-masked",
    "SETIRQS-17/the-first-of-the-range-is-unmasked",
    "SETIRQS-17/until-the-next-descriptor",
    "SETIRQS-20/disabled-for-it",
    "SETIRQS-21/the-device-knows-of-no-disabling",
    "SETIRQS-21/the-device-knows-of-no-taking-back",
    "SETIRQS-23/the-other-type-is-forgotten",
    "SETIRQS-23/all-types-are-disabled",
    "SETIRQS-30/once-and-never-again",
    "SETIRQS-33/each-message-begins-anew",
    "SETIRQS-33/those-above-are-forgotten",
    "SETIRQS-33/those-below-are-forgotten",
    "SETIRQS-33/the-one-below-gets-it-too",
    "VER-29/version-begins-anew",
    "WMULTI-02/from-the-last-to-the-first",
    "WMULTI-02/the-first-one-alone",
    "WMULTI-02/all-into-the-region-of-the-first",
    "WMULTI-05/the-next-one-right-behind-the-data",
    "WMULTI-05/always-8-bytes",
    "WMULTI-06/the-payload-counts",
    "WMULTI-08/nobody-waits-for-it",
];
/// The same of servers of version 8.
const FAULTS_OF_VERSION_8: &[&str] = &[
    "DMARW-07/every-region-is-for-both",
    "V8-05/the-last-descriptor-first",
    "V8-06/rolled-back-too-far",
    "V8-09/the-first-region-alone",
    "V8-10/unmapped-and-then-looked-at",
    "V8-16/a-count-of-8-bytes",
    "V8-17/nothing-counted-is-nothing-written",
    "V8-20/the-head-before-the-bitmaps",
    "V8-20/the-structure-without-its-bits",
    "V8-24/no-pre-copy",
    "V8-24/the-data-in-place-of-the-registers",
    "V8-24/to-ask-what-is-pending-takes-away-from-it",
    "V8-24/what-is-restored-is-left-out",
];
/// So many sequences are drawn for each.
const SEQUENCES: u64 = 1000;
const SEED: u64 = 4;
/// Negotiation not counted.
const MOST_EXCHANGES: usize = 6;
/// How many must be found.
const WANTED: usize = 110;
/// Of these the whole case is shown.
const SHOWN: &[&str] = &["DMAP-05/overlap-by-the-start-only", "V8-09/the-first-region-alone"];
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/found-by-generation.md");

/// What became of one fault.
struct Row {
    profile: Profile,
    title: &'static str,
    found_as: String,
    sequences: u64,
    exchanges: usize,
    text: String,
}

/// Most faults are found, each shrinks to a few exchanges, and the table in docs/ says so.
pub(crate) fn check(faults: &[Arc<Fault>]) {
    let current = FAULTS.iter().map(|title| (Profile::V0_9_2, *title));
    let all = current.chain(FAULTS_OF_VERSION_8.iter().map(|title| (Profile::V8, *title)));
    let queue = Mutex::new(all.enumerate());
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some((at, (profile, title))) = queue.lock().unwrap().next() else { return };
                    let fault = faults.iter().find(|fault| fault.title() == title);
                    let row = fault.ok_or(format!("no fault {title}")).and_then(|fault| row(profile, title, fault));
                    rows.lock().unwrap().push((at, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(at, _)| *at);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row.unwrap()).collect();
    for row in &rows {
        assert!(row.exchanges <= MOST_EXCHANGES, "{} shrinks to {} exchanges:\n{}", row.title, row.exchanges, row.text);
    }
    let found = rows.iter().filter(|row| row.exchanges > 0).count();
    let table = table(&rows);
    assert!(found >= WANTED, "{found} of {} are found\n{table}", rows.len());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let known = std::fs::read_to_string(TABLE).unwrap();
    assert!(known == table, "docs/found-by-generation.md differs; UPDATE_DOCS=1 writes it anew:\n{table}");
}

fn row(profile: Profile, title: &'static str, fault: &Arc<Fault>) -> Result<Row, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let found = search(profile, fault, folder.path())?;
    let Some(record) = found.records.first() else {
        return Ok(Row {
            profile,
            title,
            found_as: "not found".to_owned(),
            sequences: found.sequences,
            exchanges: 0,
            text: String::new(),
        });
    };
    let text = std::fs::read_to_string(&record.file).map_err(|error| error.to_string())?;
    if record.result != CaseResult::Fail {
        return Err(format!("{title}: the file that was written does not fail:\n{text}"));
    }
    let finding = record.findings.iter().find(|finding| finding.class == Class::Violation);
    let exchanges = text.lines().filter(|line| line.starts_with('>')).count();
    let found_as = finding.map(|finding| finding.requirement.clone()).unwrap_or_default();
    Ok(Row { profile, title, found_as, sequences: found.sequences, exchanges, text })
}

/// The first sequence that fails, shrunk.
fn search(profile: Profile, fault: &Arc<Fault>, folder: &Path) -> Result<Found, String> {
    let fault = Arc::clone(fault);
    let target = DirectMachine::target(fault.name, move || match &fault.kind {
        Kind::Machine(machine) => machine(),
        Kind::Loop(_) | Kind::Program(_) => panic!("only a state machine can be called"),
    });
    let probed = Probed::of(profile, target, Timeouts::default());
    let runner =
        Runner { context: probed.context(), jobs: 1, fail_fast: true, pinned: None, replay: "{case}".to_owned() };
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let (runner, offer, replay) = (&runner, &offer, "{file}");
    let search = Search { runner, offer, seed: SEED, count: SEQUENCES, shard: None, folder, replay };
    search.run(|_| ()).map_err(|error| error.to_string())
}

fn table(rows: &[Row]) -> String {
    let found = rows.iter().filter(|row| row.exchanges > 0).count();
    let mut table = format!(
        "# Faults found by generation alone\n\n\
         Planted faults that no single command shows, and what `--generate {SEQUENCES} --seed {SEED}` made of each: after how\n\
         many sequences it was found, by which requirement, and how many exchanges the case has that it was shrunk to,\n\
         negotiation not counted. {found} of {} are found.\n\n",
        rows.len()
    );
    rows_of(Profile::V0_9_2, rows, &mut table);
    table.push_str("\nOf servers of version 8, with `--profile v8`:\n\n");
    rows_of(Profile::V8, rows, &mut table);
    table.push_str("\nAs the search writes it, for one of each:\n\n");
    for title in SHOWN {
        if let Some(shown) = rows.iter().find(|row| row.title == *title) {
            writeln!(table, "```text\n{}```\n", shown.text).unwrap();
        }
    }
    table.trim_end().to_owned() + "\n"
}

fn rows_of(profile: Profile, rows: &[Row], table: &mut String) {
    table.push_str("| Fault | Found as | Sequences | Exchanges |\n|---|---|---:|---:|\n");
    for row in rows.iter().filter(|row| row.profile == profile) {
        let exchanges = if row.exchanges == 0 { "-".to_owned() } else { row.exchanges.to_string() };
        writeln!(table, "| `{}` | {} | {} | {exchanges} |", row.title, row.found_as, row.sequences).unwrap();
    }
}
