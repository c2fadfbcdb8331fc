//! tollgate: the AI gateway that people run themselves.
//!
//! The house has floors, and a module knows only those below its own:
//!
//! | floor | rooms |
//! |---|---|
//! | 7 | `app`: the commands |
//! | 6 | `config`: the user's file |
//! | 5 | `proxy`: the path of a request; `admin`: the keeper's window |
//! | 4 | `stage`: decisions about one call |
//! | 3 | `provider`: who speaks what, and where; `store`: what is kept between requests |
//! | 2 | `dialect`: how others spell the words |
//! | 1 | `llm`: words of the trade |
//! | 0 | `base`: words of the machine |
//!
//! What is deliberately absent:
//! - Nothing below `proxy` and `admin` knows Pingora's sessions.
//! - No stage sees the request's context or record: stages return values.
//! - Nothing at run time sees the configuration: it was built into the stages.
//! - Nothing remote is asked on a request's path but the provider itself.

pub mod app;
pub mod config;
pub mod proxy;
pub mod admin;
pub mod stage;
pub mod provider;
pub mod store;
pub mod dialect;
pub mod llm;
pub mod base;
