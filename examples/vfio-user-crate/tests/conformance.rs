//! Every case against the program, a process for each.

use std::process::ExitCode;

use vfio_user_conformance::suite::Suite;

fn main() -> ExitCode {
    Suite::spawn([env!("CARGO_BIN_EXE_scratch-device"), "--socket-path={socket}"])
        .device_file("tests/device.toml")
        .expect_file("tests/known.toml")
        .main()
}
