//! Servers that do what no server should: each run ends, with the right exit code and a sentence that helps.

use crate::support::{Bench, Ended, PASSES, RESETS, Standing, server};
use serde_json::{Value, json};

/// Where silence is what is waited for.
const BRISK: [&str; 2] = ["--timeout", "300ms"];
/// For servers that answer first, and fall silent later.
const CALM: [&str; 2] = ["--timeout", "1s"];
/// For servers that answer, close or end: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

const READS: &str = "case read.refused\n> REGION_READ region=0 offset=0 count=4\n< error                                                 [RREAD-01]\n";
/// DEVICE_RESET in set-up: what goes wrong there is no check of a case.
const SET_UP: &str = "case reset.before\n> DEVICE_RESET\n< ok\n> DEVICE_GET_INFO\n< ok                                                    [INFO-01]\n";

fn bench() -> Bench {
    Bench::new(&[("a.case", PASSES), ("b.case", RESETS)])
}

/// The server cannot be used at all: exit code 4, no case, and the sentence in the report and on the terminal.
#[track_caller]
fn is_unreachable(ended: &Ended, sentences: &[&str]) {
    ended.has_code(4);
    for sentence in sentences {
        ended.says(sentence);
    }
    let report = ended.report();
    assert_eq!(report["complete"], false);
    assert_eq!(report["cases"], json!([]));
    assert_eq!(report["faults"].as_array().unwrap().len(), 1, "{}", report["faults"]);
}

/// The only finding of a case.
#[track_caller]
fn finding<'e>(ended: &'e Ended, case: &str) -> &'e Value {
    let case = ended.case(case);
    assert_eq!(case["result"], "fail", "{case:#?}");
    let findings = case["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    &findings[0]
}

#[track_caller]
fn contains(value: &Value, words: &str) {
    assert!(value.as_str().unwrap().contains(words), "not in it: {words}\n{value}");
}

#[test]
fn a_server_that_never_answers() {
    is_unreachable(&bench().against("never-answers", &BRISK), &["never negotiates: no answer to VERSION within 1.5 s"]);
}

#[test]
fn a_server_that_closes_at_once() {
    is_unreachable(&bench().against("closes-at-once", &PATIENT), &["the server never negotiates"]);
}

#[test]
fn a_server_that_sends_random_bytes() {
    is_unreachable(&bench().against("random-bytes", &PATIENT), &["the server never negotiates"]);
}

#[test]
fn a_server_that_claims_a_message_of_4_gib() {
    is_unreachable(&bench().against("four-gib-message", &PATIENT), &["the server never negotiates"]);
}

#[test]
fn a_server_that_floods_descriptors() {
    is_unreachable(&bench().against("fd-flood", &PATIENT), &["the server never negotiates"]);
}

#[test]
fn a_server_without_version_is_told_what_came() {
    let said = [
        ("closes-at-once", "closed the connection on VERSION"),
        ("random-bytes", "bytes that are no message"),
        ("four-gib-message", "the size field says 4294967295 bytes"),
        ("fd-flood", "file descriptors that belong to no message"),
        ("panics-at-version", "index out of bounds: the len is 0 but the index is 3"),
        ("refuses-version", "EOPNOTSUPP (95)"),
    ];
    for (mode, sentence) in said {
        is_unreachable(&bench().against(mode, &PATIENT), &["the server never negotiates", sentence]);
    }
}

#[test]
fn a_flood_of_descriptors_with_few_to_spare() {
    for limit in ["150", "1024"] {
        let bench = bench();
        // The program and its servers inherit the limit.
        let (cases, command) = (bench.word("cases"), server("fd-flood"));
        let report = format!("json={}", bench.word("report.json"));
        let program = env!("CARGO_BIN_EXE_vfio-user-conformance");
        let script = r#"ulimit -n "$0" && exec "$@""#;
        let words = ["-c", script, limit, program, "run", "--cases", &cases, "--report", &report, "--spawn", &command];
        is_unreachable(&bench.start_other("sh", &words).end(), &["the server never negotiates"]);
    }
}

#[test]
fn a_server_that_refuses_version() {
    is_unreachable(&bench().against("refuses-version", &PATIENT), &["never negotiates: VERSION was refused", "95"]);
}

#[test]
fn a_server_that_panics_at_version() {
    is_unreachable(&bench().against("panics-at-version", &PATIENT), &["the server never negotiates"]);
}

#[test]
fn a_server_that_never_listens() {
    let sentences = ["no connection to", "within 1.5 s", "does the server listen there?"];
    is_unreachable(&bench().against("never-listens", &BRISK), &sentences);
}

#[test]
fn a_server_that_ends_before_it_listens() {
    let sentences = ["ended with exit status 3 before it accepted a connection", "the firmware image is missing"];
    is_unreachable(&bench().against("ends-at-once", &PATIENT), &sentences);
}

#[test]
fn what_a_server_printed_stands_on_lines_of_its_own() {
    let ended = bench().against("ends-at-once", &PATIENT);
    assert!(!ended.stdout.contains("\\n"), "{}", ended.stdout);
}

#[test]
fn a_server_that_prints_without_end_is_told_shortly() {
    let prints = "sh -c 'head -c 500000 /dev/zero | tr \\\\0 x; echo; seq 1 500; exit 3' {socket}";
    let ended = bench().run(&["--spawn", prints]);
    is_unreachable(&ended, &["ended with exit status 3", ".. 491 lines before", "500"]);
    let panics = "sh -c 'echo one; echo thread panicked at x.rs; head -c 500000 /dev/zero | tr \\\\0 x; echo; seq 1 500; exit 3' {socket}";
    let ended = bench().run(&["--spawn", panics]);
    is_unreachable(&ended, &[".. 1 line before thread panicked at x.rs xxx", "xxx..", ".. 492 lines after"]);
    assert!(ended.stdout.len() < 3000, "{}", ended.stdout);
}

#[test]
fn a_command_that_does_not_exist() {
    let ended = bench().run(&["--spawn", "/nonexistent/server"]);
    is_unreachable(&ended, &["could not start `/nonexistent/server`: No such file or directory", "is it installed"]);
    let ended = bench().run(&["--spawn", "no-such-server-anywhere --x"]);
    is_unreachable(&ended, &["could not start `no-such-server-anywhere`"]);
    let ended = bench().run(&["--spawn", "/etc/passwd"]);
    is_unreachable(&ended, &["could not start `/etc/passwd`: Permission denied"]);
}

#[test]
fn a_socket_that_does_not_exist() {
    let sentences = ["could not connect to /nonexistent/x.sock: No such file or directory", "is the server running"];
    is_unreachable(&bench().run(&["--socket", "/nonexistent/x.sock"]), &sentences);
}

#[test]
fn a_socket_that_is_none() {
    let bench = bench();
    let file = bench.write("plain", "");
    is_unreachable(&bench.run(&["--socket", &file]), &["could not connect to", "Connection refused"]);
    let long = format!("/{}", "x".repeat(200));
    is_unreachable(&bench.run(&["--socket", &long]), &["File name too long"]);
}

#[test]
fn a_socket_whose_server_is_gone() {
    let bench = bench();
    let path = bench.word("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    is_unreachable(&bench.run(&["--socket", &path]), &["Connection refused", "is the server running"]);
}

#[test]
fn a_socket_of_a_started_server_that_can_never_be() {
    let bench = bench();
    let file = bench.write("plain", "");
    for path in [format!("{file}/x.sock"), format!("/{}", "x".repeat(200))] {
        let ended =
            bench.run(&["--spawn", &format!("{} --socket-path {file}", server("never-listens")), "--socket", &path]);
        // A long path is told over several lines.
        is_unreachable(&ended, &[&path[..path.len().min(60)]]);
    }
}

#[test]
fn a_server_that_runs_already_and_never_answers() {
    let bench = bench();
    let path = bench.word("standing.sock");
    let mut standing = Standing::start("never-answers", &path);
    // It is ready once somebody could connect; the program itself tries only once.
    standing.wait_for(&path);
    is_unreachable(&bench.run(&[&["--socket", &path], &BRISK[..]].concat()), &["no answer to VERSION"]);
    assert!(standing.runs(), "a server that the program did not start is not ended by it");
}

/// No later case would find out.
#[test]
fn a_server_that_runs_already_and_ends_in_the_last_case_is_lost() {
    let case = "case reset.last\n> DEVICE_RESET\n< error or closed                                       [RESET-01]\n";
    let bench = Bench::new(&[("a.case", case)]);
    // It is gone before it can be asked, or just then.
    for mode in ["exits-zero", "exits-with-a-client"] {
        let path = bench.word(&format!("{mode}.sock"));
        let standing = Standing::start(mode, &path);
        standing.wait_for(&path);
        bench.run(&[&["--socket", &path], &PATIENT[..]].concat()).has_code(4).says("gone after the last case");
    }
}

#[test]
fn a_server_that_runs_already_and_serves() {
    let bench = bench();
    let path = bench.word("standing.sock");
    let mut standing = Standing::start("good", &path);
    standing.wait_for(&path);
    bench.run(&[&["--socket", &path], &PATIENT[..]].concat()).has_code(0).says("2 pass");
    assert!(standing.runs());
}

/// As version 8 asks of it; a case would meet the maps of another one.
#[test]
fn a_server_that_runs_already_and_keeps_what_clients_leave() {
    let bench = bench();
    let path = bench.word("standing.sock");
    let words = [env!("CARGO_BIN_EXE_vfio-user-conformance"), "reference-server", "--profile", "v8"];
    let standing = Standing::start_words(words.into_iter(), &path);
    standing.wait_for(&path);
    let run = || bench.run(&[&["--profile", "v8", "--socket", &path], &PATIENT[..]].concat());
    run().has_code(4).says("keeps the maps of a client");
    run().has_code(4).says("keeps the maps of a client");
}

#[test]
fn a_server_that_runs_already_and_is_lost_is_told_once() {
    let bench = Bench::new(&[("a.case", RESETS), ("b.case", PASSES), ("c.case", READS)]);
    let path = bench.word("standing.sock");
    let standing = Standing::start("aborts", &path);
    standing.wait_for(&path);
    let ended = bench.run(&[&["--socket", &path], &PATIENT[..]].concat());
    ended.has_code(4).says("Connection refused").says("RESET-01");
    // A server that dies may have one more client in its queue.
    let next = ended.names().into_iter().skip(1);
    assert_eq!(ended.case("reset.refused")["result"], "fail");
    assert!(next.clone().count() < 2 && next.into_iter().all(|name| ended.case(name)["result"] == "skip"));
    assert_eq!(ended.report()["faults"].as_array().unwrap().len(), 1);
    assert_eq!(ended.report()["complete"], false);
}

#[test]
fn a_server_that_sends_replies_without_end() {
    let ended = bench().against("endless-replies", &CALM);
    assert!([2, 4].contains(&ended.code), "{}\n{}", ended.stdout, ended.stderr);
}

#[test]
fn a_server_that_answers_three_times_is_told_of_once() {
    let ended = bench().against("thrice", &PATIENT);
    ended.has_code(2);
    let case = ended.case("reset.refused");
    let checks = case["checks"].as_array().unwrap().iter();
    let violated: Vec<_> = checks.filter(|check| check["said"] == "violated").collect();
    assert_eq!(violated.len(), 1, "{violated:#?}");
    assert_eq!(violated[0]["requirement"], "HDR-14");
}

#[test]
fn a_server_that_panics() {
    let ended = bench().against("panics", &PATIENT);
    ended.has_code(2).says("the server crashed").says("attempt to subtract with overflow");
    let finding = finding(&ended, "reset.refused");
    assert_eq!(finding["requirement"], "RESET-01");
    assert_eq!(finding["evidence"], "exited");
    contains(&finding["actual"], "attempt to subtract with overflow");
    let case = ended.case("reset.refused");
    contains(&case["stderr"], "panicked at examples/misbehaving-server.rs");
    assert_eq!(case["attempts"].as_array().unwrap().len(), 1, "a crash is seen once and for all");
    assert_eq!(case["attempts"][0]["outcome"], "crashed");
    assert_eq!(ended.case("good.info")["result"], "pass", "the next case has a server of its own");
}

#[test]
fn a_server_that_panics_has_a_status() {
    // Whether the connection's end or the process's end is seen first is a race: look often.
    let cases: Vec<String> = (0..20).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    let bench = Bench::new(&[("a.case", &cases.join("\n"))]);
    let ended = bench.against("panics", &PATIENT);
    ended.has_code(2);
    for name in ended.names() {
        assert_eq!(ended.case(name)["attempts"][0]["exit"], json!({ "status": 101 }), "{name}");
    }
}

#[test]
fn a_server_that_aborts() {
    let ended = bench().against("aborts", &PATIENT);
    ended.has_code(2).says("the server crashed with signal SIGABRT").says("free(): invalid pointer");
    let case = ended.case("reset.refused");
    assert_eq!(case["attempts"][0]["outcome"], "crashed");
    assert_eq!(case["attempts"][0]["exit"], json!({ "signal": 6 }));
    contains(&case["stderr"], "free(): invalid pointer");
}

#[test]
fn a_crash_in_set_up_is_a_finding() {
    let bench = Bench::new(&[("a.case", SET_UP)]);
    let ended = bench.against("aborts", &PATIENT);
    ended.has_code(2);
    contains(&finding(&ended, "reset.before")["actual"], "the server crashed with signal SIGABRT");
}

/// A shell between them makes a status of the signal.
#[test]
fn a_server_that_aborts_behind_a_shell() {
    let command = format!("sh -c '{} --socket-path {{socket}}; exit $?'", server("aborts"));
    bench()
        .run(&[&["--spawn", command.as_str()], &PATIENT[..]].concat())
        .has_code(2)
        .says("crashed with signal SIGABRT");
}

#[test]
fn a_server_that_panics_after_a_long_log() {
    let ended = bench().against("panics-late", &PATIENT);
    ended.has_code(2).says("the server crashed").says("attempt to subtract with overflow");
}

#[test]
fn a_server_that_a_sanitizer_reports_and_lets_go_on() {
    let ended = bench().against("reported", &PATIENT);
    ended.has_code(2).says("SEC-01").says("server printed | ring.c:7:3: runtime error: index 9 out of bounds");
    assert_eq!(finding(&ended, "reset.refused")["evidence"], "exited");
}

#[test]
fn a_server_that_crashes_of_the_signal_that_asks_it_to_end() {
    let case = "case sigterm.session\nneeds spawned\n> DEVICE_GET_INFO\n< ok\nsignal TERM\n< exited                                                [BACKEND-04]\n";
    let bench = Bench::new(&[("a.case", case)]);
    bench.against("aborts-at-sigterm", &PATIENT).has_code(2).says("crashed with signal SIGABRT");
    bench.against("good", &PATIENT).has_code(0);
}

/// A crowd that is gone already is no more than so many clients, each of which takes its time.
#[test]
fn a_server_that_is_slow_to_accept_is_not_overrun() {
    let case = "case storm.small\ngiven nothing\ndo connection-storm count=150                           [SEC-07]\n";
    let bench = Bench::new(&[("a.case", case)]);
    bench.against("slow-accept", &BRISK).has_code(0);
}

#[test]
fn a_server_that_exits_with_an_error() {
    let ended = bench().against("exits-seven", &PATIENT);
    ended.has_code(2).says("exit status 7").says("no such reset");
    let case = ended.case("reset.refused");
    assert_eq!(case["attempts"][0]["exit"], json!({ "status": 7 }));
    contains(&case["stderr"], "no such reset");
}

#[test]
fn a_server_that_exits_with_an_error_in_set_up() {
    let bench = Bench::new(&[("a.case", SET_UP)]);
    let ended = bench.against("exits-seven", &PATIENT);
    ended.has_code(2);
    assert_eq!(ended.case("reset.before")["attempts"][0]["outcome"], "crashed");
}

#[test]
fn a_server_that_exits_in_the_middle_without_an_error() {
    let ended = bench().against("exits-zero", &PATIENT);
    ended.has_code(2).says("the connection was closed, and the server ended with exit status 0");
    assert_eq!(ended.case("reset.refused")["attempts"][0]["outcome"], "closed");
}

#[test]
fn a_server_that_exits_in_good_order_when_its_client_is_gone() {
    let ended = bench().against("exits-after-close", &PATIENT);
    ended.has_code(0).says("2 pass");
    assert_eq!(ended.report()["target"]["discovered"]["has"]["exits"], json!({ "yes": {} }));
}

#[test]
fn a_server_that_panics_when_its_client_is_gone() {
    let ended = bench().against("panics-after-close", &PATIENT);
    ended.has_code(2).says("when its client had left, the server crashed with exit status 101");
    for case in ["good.info", "reset.refused"] {
        assert_eq!(finding(&ended, case)["requirement"], "SEC-01");
    }
}

#[test]
fn a_server_that_closes() {
    let ended = bench().against("closes", &PATIENT);
    ended.has_code(2).says("the connection was closed");
    let case = ended.case("reset.refused");
    assert_eq!(case["attempts"].as_array().unwrap().len(), 1, "a close is seen once and for all");
    assert_eq!(case["attempts"][0]["outcome"], "closed");
    assert_eq!(case["attempts"][0]["exit"], Value::Null);
}

#[test]
fn a_server_that_sends_garbage_in_the_middle() {
    let bench = Bench::new(&[("a.case", RESETS), ("b.case", SET_UP)]);
    for mode in ["garbage", "four-gib-reply"] {
        let ended = bench.against(mode, &PATIENT);
        ended.has_code(2).says("bytes that are no message: the size field says");
        for case in ["reset.refused", "reset.before"] {
            contains(&finding(&ended, case)["actual"], "bytes that are no message");
            assert_eq!(ended.case(case)["attempts"][0]["outcome"], "garbage");
            assert_eq!(ended.case(case)["attempts"].as_array().unwrap().len(), 1);
        }
    }
}

#[test]
fn a_server_that_answers_with_another_id() {
    let ended = bench().against("wrong-id", &PATIENT);
    ended.has_code(2).says("HDR-02").says("header.id");
    let finding = finding(&ended, "reset.refused");
    assert_eq!(finding["field"], json!({ "name": "header.id", "offset": 0, "length": 2 }));
}

#[test]
fn a_server_that_requires_a_capability_is_looked_at_all_the_same() {
    let procedures = [("stays-in-foreground", "BACKEND-01"), ("keeps-standard-descriptors", "BACKEND-03")];
    for (procedure, requirement) in procedures.into_iter().chain([("connection-storm count=20", "SEC-07")]) {
        let text = format!("case a.b\nneeds reconnect\ngiven nothing\ndo {procedure} [{requirement}]\n");
        let ended = Bench::new(&[("a.case", &text)]).against("requires", &PATIENT);
        assert_eq!(ended.has_code(0).case("a.b")["result"], "pass", "{procedure}");
    }
}

#[test]
fn a_server_that_starts_no_more_breaks_no_clause_of_what_it_does_when_it_runs() {
    let procedures = [
        ("stays-in-foreground", "BACKEND-01"),
        ("keeps-standard-descriptors", "BACKEND-03"),
        ("connection-storm count=20", "SEC-07"),
        ("announced-lengths", "SEC-03"),
    ];
    for (procedure, requirement) in procedures {
        let text = format!("case start.again\ngiven nothing\ndo {procedure} [{requirement}]\n");
        let bench = Bench::new(&[("a.case", RESETS), ("b.case", &text)]);
        let mode = format!("last-one --marker {}", bench.word("marker"));
        let ended = bench.against(&mode, &[&PATIENT[..], &["--jobs", "1"]].concat());
        ended.has_code(4).says("the disk is on fire");
        assert_eq!(ended.report()["cases"].as_array().unwrap().len(), 1, "{procedure}");
    }
}

#[test]
fn a_server_that_crashes_of_a_question_is_not_one_that_lacks_what_it_was_asked_for() {
    let text = "case a.b\nneeds spawned\ngiven nothing\ndo survives-questions [SEC-01]\n";
    let bench = Bench::new(&[("a.case", text)]);
    let ended = bench.against("panics --on DEVICE_FEATURE", &PATIENT);
    ended.has_code(2).says("SEC-01").says("attempt to subtract with overflow");
    bench.against("closes --on DEVICE_FEATURE", &PATIENT).has_code(0);
}

#[test]
fn a_server_that_leaves_a_question_unanswered_is_not_one_that_lacks_what_it_was_asked_for() {
    let bench = Bench::new(&[("a.case", "case a.b\ngiven nothing\ndo answers-questions [HDR-14]\n")]);
    let closed = bench.against("closes --on DEVICE_FEATURE", &PATIENT);
    closed.has_code(2);
    let found = finding(&closed, "a.b");
    assert_eq!((&found["requirement"], &found["evidence"]), (&json!("HDR-14"), &json!("closed")));
    contains(&found["actual"], "the server closed the connection on DEVICE_FEATURE");
    let garbage = bench.against("garbage --on DEVICE_FEATURE", &PATIENT);
    garbage.has_code(2);
    assert_eq!(finding(&garbage, "a.b")["evidence"], "received");
    // It was waited for once.
    let silent = bench.against("silent --on DEVICE_FEATURE", &CALM);
    silent.has_code(3);
    contains(&silent.case("a.b")["reason"], "no answer to DEVICE_FEATURE within");
    bench.against("panics --on DEVICE_FEATURE", &PATIENT).has_code(0);
}

#[test]
fn a_server_that_sends_a_surplus() {
    let ended = bench().against("surplus", &PATIENT);
    ended.has_code(2).says("a payload of 3 bytes");
    assert_eq!(ended.case("reset.refused")["findings"][0]["requirement"], "RESET-01");
}

#[test]
fn a_server_that_falls_silent_is_asked_three_times() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", READS)]);
    let ended = bench.against("silent --on REGION_READ", &CALM);
    ended.has_code(2).says("silence past the deadline");
    let found = finding(&ended, "read.refused");
    assert_eq!(found["evidence"], "deadline");
    let attempts = ended.case("read.refused")["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt["outcome"] == "silent"), "{attempts:?}");
}

#[test]
fn a_server_that_falls_silent_is_told_to_be_seen_three_times() {
    let bench = Bench::new(&[("b.case", READS)]);
    let ended = bench.against("silent --on REGION_READ", &CALM);
    ended.has_code(2).says("3 of 3");
    assert_eq!(finding(&ended, "read.refused")["seen"], json!([3, 3]));
}

/// It falls silent now at one place and now at another; what it sends instead is wrong every time.
#[test]
fn a_server_that_lost_its_place_in_the_stream_is_not_silent() {
    let bench = Bench::new(&[("b.case", RESETS)]);
    let ended = bench.against(&format!("out-of-step --marker {}", bench.word("marker")), &CALM);
    ended.has_code(2).says("a message that answers no command");
    let found = finding(&ended, "reset.refused");
    assert_eq!((&found["requirement"], &found["evidence"]), (&json!("HDR-14"), &json!("received")));
    assert_eq!(ended.case("reset.refused")["attempts"][0]["outcome"], "silent");
}

#[test]
fn a_server_that_falls_silent_in_set_up() {
    let text = "case read.before\n> REGION_READ region=0 offset=0 count=4\n< ok\n> DEVICE_GET_INFO\n< ok                                                    [INFO-01]\n";
    let bench = Bench::new(&[("a.case", text)]);
    let ended = bench.against("silent --on REGION_READ", &CALM);
    ended.has_code(2).says("HDR-14");
    assert_eq!(finding(&ended, "read.before")["evidence"], "deadline");
}

#[test]
fn a_server_that_ignores_sigterm_and_has_a_child_is_ended() {
    let bench = Bench::new(&[("a.case", READS)]);
    bench.against("silent-stubborn --on REGION_READ", &CALM).has_code(2);
}

#[test]
fn the_command_that_plays_again_has_the_same_deadline() {
    let bench = Bench::new(&[("a.case", READS)]);
    let ended = bench.against("silent --on REGION_READ", &CALM);
    contains(&ended.case("read.refused")["replay"], "--timeout 1s");
}

#[test]
fn one_job_never_has_two_servers_alive() {
    let cases: Vec<String> = (0..10).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    let bench = Bench::new(&[("a.case", &cases.join("\n"))]);
    let mode = format!("exclusive --marker {}", bench.word("marker"));
    bench.against(&mode, &[&PATIENT[..], &["--jobs", "1"]].concat()).has_code(0).says("10 pass");
}

#[test]
fn the_command_that_plays_again_plays_again() {
    let bench = bench();
    let ended = bench.against("wrong-id", &PATIENT);
    let replay = ended.case("reset.refused")["replay"].as_str().unwrap().to_owned();
    let words = shlex::split(&replay).unwrap();
    assert_eq!(words[0], "vfio-user-conformance");
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    bench.program(&words).has_code(2).says("HDR-02").says("1 case in");
}

/// What a server does at a question that is asked everywhere is not the fault of all that is looked at by it.
#[test]
fn a_server_that_ends_at_its_first_question_is_told_for_that_alone() {
    let bench = Bench::new(&[]);
    let report = format!("json={}", bench.word("report.json"));
    for (mode, told) in [("aborts", "SEC-01"), ("closes", "INFO-01")] {
        let spawn = server(&format!("{mode} --on DEVICE_GET_INFO"));
        let words = ["run", "--spawn", &spawn, "--report", &report, "--timeout", "5s", "CONC-03", "SEC-02", "INFO-*"];
        let ended = bench.program(&words);
        ended.has_code(2).says("for one cause: at DEVICE_GET_INFO, ");
        let requirements = ended.report()["requirements"].as_object().unwrap().iter();
        let violated: Vec<&str> = requirements
            .filter(|(_, requirement)| requirement["status"] == "violated")
            .map(|(id, _)| id.as_str())
            .collect();
        assert!(violated.contains(&told), "{violated:?}");
        let strange: Vec<&&str> = violated
            .iter()
            .filter(|id| !["INFO-", "SEC-01", "MSZ-", "VER-"].iter().any(|own| id.starts_with(own)))
            .collect();
        assert!(strange.is_empty(), "{mode}: {strange:?}");
        let cause = &ended.report()["causes"][0];
        assert_eq!(cause["command"], "DEVICE_GET_INFO");
        assert!(cause["requirements"].as_array().unwrap().len() > 2, "{cause}");
    }
}
