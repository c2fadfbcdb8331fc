//! The mock provider: a real server with the answers of many providers and every fault on request.

pub mod answer;
pub mod ask;
pub mod body;
pub mod coding;
pub mod fault;
pub mod head;
pub mod link;
pub mod script;
pub mod send;
pub mod server;
pub mod shape;
pub mod stats;
pub mod upload;

pub use script::Script;
pub use server::serve;

use script::ScriptError;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What `tollgate mock` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 lets the system choose.
    pub listen: SocketAddr,
    pub script: Option<PathBuf>,
}

/// Why the mock does not serve.
#[derive(Debug, Error)]
pub enum MockError {
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        listen: SocketAddr,
        error: std::io::Error,
    },
    #[error("the mock provider stopped: {0}")]
    Serve(#[from] std::io::Error),
}

/// Serves until SIGINT or SIGTERM, and prints one line with the address first.
pub fn run(options: &Options) -> Result<(), MockError> {
    let script = options.script.as_deref().map(Script::load).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let listen = options.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|error| MockError::Listen { listen, error })?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut out = std::io::stdout();
        writeln!(out, "mock provider on http://{}", listener.local_addr()?)?;
        out.flush()?;
        tokio::select! {
            served = serve(listener, script) => Ok(served?),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    });
    runtime.shutdown_background();
    served
}

#[cfg(test)]
mod tests;
