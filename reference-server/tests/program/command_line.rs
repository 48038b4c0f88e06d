//! The program's conventions (specification 1961-1980).

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pretty_assertions::assert_eq;

use crate::client::Client;

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vfio-user-reference-server"));
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("reference-server-{}-{name}", std::process::id()))
}

/// Connects as soon as somebody listens.
fn connect(path: &Path) -> Client {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Client::on(stream),
            Err(error) => assert!(Instant::now() < deadline, "nobody listens: {error}"),
        }
        std::thread::yield_now();
    }
}

/// The program with `fd` open as descriptor 200, and told so.
fn with_fd(fd: OwnedFd) -> Child {
    let mut program = program();
    program.arg("--fd=200");
    let raw = fd.as_raw_fd();
    // SAFETY: dup2 is async-signal-safe, and the closure touches no memory of the parent.
    unsafe {
        program.pre_exec(move || if libc::dup2(raw, 200) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) });
    }
    program.spawn().unwrap()
}

fn terminate(child: Child) -> Output {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_socket_path_is_served_until_sigterm() {
    for spelling in ["=", " "] {
        let path = socket_path("served");
        let mut program = program();
        match spelling {
            "=" => program.arg(format!("--socket-path={}", path.display())),
            _ => program.arg("--socket-path").arg(&path),
        };
        let child = program.spawn().unwrap();
        let mut client = connect(&path);
        client.negotiate();
        drop(client);
        let mut client = connect(&path);
        client.negotiate();
        let output = terminate(child);
        assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(0), vec![], vec![]));
        assert!(!path.exists());
        assert!(client.receive().is_none());
    }
}

#[test]
fn a_connected_descriptor_is_served_until_its_end() {
    let (near, far) = UnixStream::pair().unwrap();
    let child = with_fd(far.into());
    let mut client = Client::on(near);
    client.negotiate();
    drop(client);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_listening_descriptor_is_served_until_sigterm() {
    let path = socket_path("listening");
    let child = with_fd(UnixListener::bind(&path).unwrap().into());
    for _ in 0..2 {
        connect(&path).negotiate();
    }
    assert_eq!(terminate(child).status.code(), Some(0));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn wrong_usage_is_told_in_a_sentence() {
    let occupied = socket_path("occupied");
    std::fs::write(&occupied, "").unwrap();
    let occupied_argument = format!("--socket-path={}", occupied.display());
    let wrong: [&[&str]; 14] = [
        &[],
        &["--socket-path=/nowhere/s", "--fd=9"],
        &["--fd=nine"],
        &["--fd=-1"],
        &["--fd=1"],
        &["--fd=99"],
        &["--socket-path="],
        &["--socket-path"],
        &["--zork"],
        &["--without"],
        &["--fd=99", "--without=dma,zork"],
        &["--fd=99", "--profile=0.9"],
        &["--fd=99", "--with=zork"],
        &[&occupied_argument],
    ];
    for arguments in wrong {
        let output = program().args(arguments).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), sentence.lines().count()), (Some(1), 1), "{arguments:?}: {sentence}");
    }
    assert!(occupied.exists());
    std::fs::remove_file(&occupied).unwrap();
    let plain_file = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(with_fd(plain_file.into()).wait_with_output().unwrap().status.code(), Some(1));
}
