//! The injector from outside: over TLS, and as a command.

mod serve;
mod support;
