use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// Nothing here takes as long.
const LONG: Duration = Duration::from_secs(60);

/// A folder, and a call of a function that listens in it.
fn call(function: ServerFunction) -> (tempfile::TempDir, PathBuf, Call) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let call = Call::start(&function, &socket).unwrap();
    (folder, socket, call)
}

fn listener(serve: impl Fn(UnixListener) -> Served + Send + Sync + 'static) -> ServerFunction {
    ServerFunction::Listener(Arc::new(serve))
}

fn end(call: &Call) -> Option<Exit> {
    call.wait(Deadline::after(LONG), &Interrupt::new().unwrap())
}

#[test]
fn a_panic_is_kept_with_its_place() {
    let (_folder, _, call) = call(listener(|_| panic!("no register {}", 7)));
    assert_eq!(end(&call), Some(Exit::Status(101)));
    let said = call.output();
    let report = crate::target::crash_report(&said).unwrap();
    assert!(report.starts_with("panicked at src/target/function_tests.rs:"), "{said}");
    assert!(report.ends_with(": no register 7"), "{said}");
}

#[test]
fn an_error_is_an_exit_status_and_no_crash() {
    let (_folder, _, call) = call(listener(|_| Err("no memory".into())));
    assert_eq!(end(&call), Some(Exit::Status(1)));
    assert_eq!(call.output(), "Error: no memory\n");
    assert_eq!(crate::target::crash_report(&call.output()), None);
}

#[test]
fn a_return_is_an_end_in_good_order() {
    let (_folder, _, call) = call(ServerFunction::Path(Arc::new(|_| Ok(()))));
    assert_eq!((end(&call), call.output().as_str()), (Some(Exit::Status(0)), ""));
    assert!(!call.outlasts(Deadline::after(Duration::ZERO)));
}

#[test]
fn one_that_waits_for_clients_is_woken_when_it_is_to_end() {
    let (_folder, socket, call) = call(listener(|listener| {
        loop {
            drop(listener.accept()?);
        }
    }));
    drop(UnixStream::connect(&socket).unwrap());
    assert_eq!(call.ended(), None);
    call.stop();
    assert_eq!(end(&call), Some(Exit::Status(1)));
    assert!(UnixStream::connect(&socket).is_err());
}

#[test]
fn nobody_waits_in_the_queue_of_one_that_has_ended() {
    let (_folder, socket, call) = call(listener(|_| Ok(())));
    assert_eq!(end(&call), Some(Exit::Status(0)));
    assert_eq!(UnixStream::connect(&socket).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn one_that_does_not_end_is_seen_to_go_on() {
    let (_folder, _, call) = call(ServerFunction::Path(Arc::new(|_| {
        loop {
            std::thread::park();
        }
    })));
    call.stop();
    assert!(call.outlasts(Deadline::after(Duration::ZERO)));
}
