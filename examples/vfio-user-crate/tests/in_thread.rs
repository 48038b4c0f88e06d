//! Every case against the server as a function, a thread for each.

use std::process::ExitCode;

use vfio_user_conformance::suite::Suite;

fn main() -> ExitCode {
    Suite::listener(|listener| Ok(scratch_device::serve(listener)?))
        .device_file("tests/device.toml")
        .expect_file("tests/known.toml")
        .main()
}
