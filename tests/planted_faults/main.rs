//! For each requirement that has a check and that a server can break, a server that breaks just it: the suite must
//! report that requirement, and nothing else but what is listed beside the fault.
//!
//! A fault wraps the reference server's state machine and changes one thing in its messages or effects; it runs in a
//! thread of this process. To add one to its section's file in `sections/`:
//!
//! ```ignore
//! fault("HDR-02", "the-next-id", || replies(|_, reply| reply.header.id += 1)).also("..", "why it cannot help that")
//! ```
//!
//! [`wrapper`] has the wrappers. A fault that `--spawn`ed servers only can show (a crash, an exit, descriptors left open)
//! is one `.by_process()`: this program is started once more to be its server.
//!
//! `cargo test --test planted_faults -- HDR-02` runs those of one requirement. With `VFIO_USER_CONFORMANCE_FAIL_FAST` none
//! is begun after the first that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test, helpers included")]

mod clients;
mod coverage;
#[path = "../support/direct.rs"]
mod direct;
mod dma;
mod fault;
mod found_by_generation;
mod irqs;
mod loops;
mod migration;
#[path = "../support/probed.rs"]
mod probed;
mod queries;
mod region_access;
mod sections;
mod server;
mod suite;
mod twin;
mod wrapper;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::{Arguments, Failed, Trial};
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Failure;
use vfio_user_conformance::run::Timeouts;
use vfio_user_conformance::verdict::{Class, Finding};

use vfio_user_reference_server as served;

use crate::fault::Fault;
use crate::suite::{Report, SUITE, Which, brisk, patient};

fn main() -> ExitCode {
    let faults: Vec<Arc<Fault>> = sections::faults().map(Arc::new).collect();
    if let Some(code) = server::serve_if_asked(&faults) {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Most of a trial is waiting for what must not come.
    arguments.test_threads.get_or_insert(12);
    let mut trials: Vec<Trial> = faults
        .iter()
        .map(|fault| {
            let fault = Arc::clone(fault);
            Trial::test(fault.title(), move || is_caught(&fault))
        })
        .collect();
    for profile in [served::Profile::V0_9_2, served::Profile::V0_9_1, served::Profile::V8C, served::Profile::V8] {
        let name = format!("the server of {} without a fault", profile.dialect().name);
        trials.push(Trial::test(name, move || without_a_fault(profile)));
    }
    trials.push(Trial::test("a server with wide ranges without a fault", wide_ranges_have_no_fault));
    trials.push(Trial::test("a server of v8c with wide ranges without a fault", wide_tables_have_no_fault));
    let all = faults.clone();
    // Its own two threads compute where the others wait.
    let by_generation = Trial::test("most faults of several steps are found by generation", move || {
        found_by_generation::check(&all);
        Ok(())
    });
    trials.insert(0, by_generation);
    trials.push(Trial::test("every requirement has a fault or a reason", move || {
        coverage::check(&faults).map(|count| eprintln!("{count}")).map_err(Failed::from)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// In a hurry first; what fails then may have failed because the machine is busy.
fn is_caught(fault: &Arc<Fault>) -> Result<(), Failed> {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    if STOPPED.load(Ordering::Relaxed) {
        return Err("not begun, after another that failed".into());
    }
    let caught = try_to_catch(fault, brisk()).or_else(|_| try_to_catch(fault, patient()));
    if caught.is_err() && std::env::var_os("VFIO_USER_CONFORMANCE_FAIL_FAST").is_some() {
        STOPPED.store(true, Ordering::Relaxed);
    }
    caught.map_err(Failed::from)
}

fn try_to_catch(fault: &Arc<Fault>, timeouts: Timeouts) -> Result<(), String> {
    let requirement = SUITE.register.get(fault.requirement).ok_or("no such requirement")?;
    // The newest version that has the clause is the one whose server is faulty; what versions with tables share is version 8's.
    let newest = [Profile::V0_9_2, Profile::V0_9_1, Profile::V8, Profile::V8C];
    let newest = newest.into_iter().find(|profile| requirement.is_of(*profile));
    let profile = fault.profile.or(newest).ok_or("no version")?;
    let report = SUITE.judge(profile, fault.target()?, &Which::For(fault.requirement), timeouts)?;
    let wanted = match requirement.failure {
        Failure::Violation if !fault.noted => Class::Violation,
        _ => Class::Note,
    };
    if report.class(fault.requirement).is_none_or(|class| class < wanted) {
        return Err(format!("not caught: {} is not reported.\n{}", fault.requirement, what_else(&report)));
    }
    let others = fault.also.iter().chain(&fault.perhaps);
    // A crash may show behind the last line alone, and is one on arbitrary bytes then.
    let crashes = |id: &str| fault.process && id == "SEC-01";
    let listed = |id: &str| id == fault.requirement || crashes(id) || others.clone().any(|(other, _)| *other == id);
    let unlisted: Vec<String> =
        report.violated().filter(|(id, _)| !listed(id)).map(|(id, (case, finding))| says(id, case, finding)).collect();
    if !unlisted.is_empty() {
        return Err(format!("caught, and reported for more than is listed:\n{}", unlisted.join("\n")));
    }
    for (also, why) in &fault.also {
        if report.class(also).is_none() {
            return Err(format!("{also} is listed and was not reported: {why}"));
        }
    }
    Ok(())
}

/// What was reported in place of the fault, and what was skipped.
fn what_else(report: &Report) -> String {
    let found = report.findings.iter().flat_map(|(id, found)| found.iter().map(move |(case, f)| says(id, case, f)));
    let skipped = report.skipped.iter().map(|(case, why)| format!("skipped {case}: {why}"));
    let played = format!("{} cases were played", report.played);
    found.chain(skipped).chain([played]).collect::<Vec<_>>().join("\n")
}

fn says(id: &str, case: &str, finding: &Finding) -> String {
    let (line, class, evidence) = (finding.line, finding.class, finding.evidence);
    format!("{id} {class:?} by {case}:{line} ({evidence:?}): {}; {}", finding.expected, finding.actual)
}

/// 0.9.1 has two layouts for the range of DIRTY_PAGES.
fn wide_ranges_have_no_fault() -> Result<(), Failed> {
    let wide = Arc::new(fault::fault("L-DP-18", "none", sections::legacy::wide));
    let report = SUITE.judge(Profile::V0_9_1, wide.target()?, &Which::All, patient())?;
    // It is asked in its own layout.
    if let Some((case, why)) = report.skipped.iter().find(|(_, why)| why.contains("DIRTY_PAGES")) {
        return Err(format!("skipped {case}: {why}").into());
    }
    if report.findings.is_empty() { Ok(()) } else { Err(what_else(&report).into()) }
}

/// So has 0.9.1 with tables, and no reply tells which.
fn wide_tables_have_no_fault() -> Result<(), Failed> {
    let wide = Arc::new(fault::fault("V8-27", "none", sections::early::wide));
    let report = SUITE.judge(Profile::V8C, wide.target()?, &Which::All, patient())?;
    if report.findings.is_empty() { Ok(()) } else { Err(what_else(&report).into()) }
}

/// In a thread, too, the reference server passes every case without a remark.
fn without_a_fault(served: served::Profile) -> Result<(), Failed> {
    let plain = Arc::new(fault::fault("HDR-01", "none", move || Box::new(wrapper::server_of(served))));
    let profile = served.dialect().name.parse()?;
    let report = SUITE.judge(profile, plain.target()?, &Which::All, patient())?;
    if report.findings.is_empty() { Ok(()) } else { Err(what_else(&report).into()) }
}
