//! The command line: what the user can say, and what the exit code answers.

use clap::{Parser, Subcommand};
use clap_complete::Shell;
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
        /// Take over from the running daemon: its sockets, its clients and what it knows
        #[arg(long)]
        upgrade: bool,
    },
    /// Make the running daemon read its configuration anew
    ///
    /// What cannot be changed in the running process, such as an address to listen on, is changed by
    /// an upgrade; so is the program, where another one is installed by now. The configuration is
    /// checked first. Where anything fails, the daemon serves on as before.
    Reload {
        /// The configuration file that the daemon runs with
        #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Replace the running daemon by a fresh process of the program that is installed now
    ///
    /// No connection is refused and no request cut: the old process ends with its last request.
    /// Where the new one cannot start, the old one serves on.
    Upgrade {
        /// The configuration file that the daemon runs with
        #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Start a successor of the daemon that runs this
    #[command(hide = true)]
    Launch {
        #[arg(long, short, value_name = "FILE")]
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
    /// Print the script with which a shell completes commands and options
    Completions {
        /// bash, zsh, fish, elvish or powershell
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Manual {
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// End the processes that a stopped service left behind: what the unit's ExecStopPost calls
    #[command(hide = true)]
    Reap,
}
