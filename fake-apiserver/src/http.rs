//! The listener and the way of a request through the server: who asks, what for, whether allowed, which verb, in which form.

mod audited;
mod connect;
mod counted;
mod handler;
mod negotiate;
mod serve;
mod show;

pub use handler::OnlyRefusals;
pub(crate) use handler::{Peer, handle, local_user};
pub(crate) use serve::{Listener, bind};
