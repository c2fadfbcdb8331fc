//! The command line: what the user can say, and what the exit code answers.

use clap::{Parser, Subcommand};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where the mock provider listens unless it is told otherwise.
pub const MOCK_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

/// The AI gateway that you run yourself.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: the daemon
    Run {
        /// The configuration file; without it the built-in defaults are served
        #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Validate a configuration: one line where it is fine, every fault where it is not
    Check {
        /// The configuration file; without it the built-in defaults are checked
        #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Serve the mock provider: the answers of many providers, and every fault on request
    Mock {
        /// Where to listen; port 0 lets the system choose
        #[arg(long, value_name = "ADDR", default_value_t = MOCK_LISTEN)]
        listen: SocketAddr,
        /// Rules for requests that come without an `x-mock` field
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
    },
    /// Show it at work: a mock provider, a gateway, real requests, and what the log says of them
    Demo {
        /// Show the requests and exit
        #[arg(long)]
        once: bool,
        /// Where the gateway listens; without it 127.0.0.1:8787 or, where that is taken, a free port.
        /// Port 0 lets the system choose, for the mock and the metrics too
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Show the price book: what models cost, since when, and who says so
    Prices {
        /// A model as a client names it; with `*` at its end, all that begin so
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Only this provider, such as openai
        #[arg(long, value_name = "PROVIDER")]
        provider: Option<String>,
        /// The configuration file, whose prices come first
        #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG")]
        config: Option<PathBuf>,
    },
}
