//! `scratch-device --socket-path=PATH` serves one client, and ends.

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = env::args().nth(1);
    let Some(path) = argument.as_deref().and_then(|argument| argument.strip_prefix("--socket-path=")) else {
        eprintln!("usage: scratch-device --socket-path=PATH");
        return ExitCode::FAILURE;
    };
    match scratch_device::serve_at(Path::new(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scratch-device: {error}");
            ExitCode::FAILURE
        }
    }
}
