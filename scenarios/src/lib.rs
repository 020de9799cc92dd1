//! `towtank`: tries admission webhooks before they meet a cluster.
//!
//! ```text
//!   main ──► run ────► scenario     YAML: a cluster, steps, expectations
//!     │        │
//!     │        └─────► cluster ───► fake-apiserver ───► injector, or any webhook
//!     └────► replay ──────┘◄─────── report              text for people, JSON for machines
//!              └──► https ────────────────────────────► a webhook, straight
//!     check ──────────┘
//! ```
//!
//! - [`replay`]: AdmissionReviews of a capture log, through an apiserver or straight at a webhook;
//! - [`capture`]: a proxy in front of a webhook that writes such a log;
//! - [`import`]: such a log out of audit logs and others;
//! - [`compare`]: what two webhooks make of the same reviews;
//! - [`check`]: laws that every webhook should keep, held against one;
//! - [`report`]: what became of them;
//! - [`scenario`]: the scenario file, and [`run`], which runs it in a [`cluster`];
//! - [`up`]: a cluster to work with; [`doctor`]: is injection well in one, and if not, why;
//! - [`hook`]: a webhook in this process, with faults;
//! - [`https`]: the client that speaks to webhooks.

mod abreast;
pub mod boxed;
pub mod capture;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod compare;
pub mod doctor;
pub mod hook;
pub mod https;
pub mod import;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
mod secrets;
pub mod style;
pub mod up;
