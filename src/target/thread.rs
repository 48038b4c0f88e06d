//! A server in a thread of this process, for tests: it takes no process to start, and can be any piece of Rust.

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

/// A server that runs in a thread.
pub trait Serve: Debug + Send + Sync {
    /// Serves the clients that connect to `listener`, one after the other, until `stop` becomes readable. Each call is
    /// a server of its own.
    fn serve(&self, listener: UnixListener, stop: OwnedFd);
}

/// A thread that serves, told to stop when dropped. Nobody waits for its end: a server that hangs harms its own case
/// only.
#[derive(Debug)]
pub(super) struct ServerThread {
    /// The other end of `stop`, which becomes readable when this one is closed.
    _running: OwnedFd,
}

impl ServerThread {
    pub(super) fn start(server: &Arc<dyn Serve>, listener: UnixListener) -> io::Result<ServerThread> {
        let (stop, running) = io::pipe()?;
        let server = Arc::clone(server);
        let serve = move || server.serve(listener, stop.into());
        std::thread::Builder::new().name("server".to_owned()).spawn(serve)?;
        Ok(ServerThread { _running: running.into() })
    }
}
