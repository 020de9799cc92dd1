//! The listener and the way of a request through the server: who asks, what for, whether allowed, which verb, in which form.

mod handler;
mod negotiate;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod respond;
mod serve;

pub(crate) use handler::{Peer, handle, local_user};
pub(crate) use respond::partial;
pub(crate) use serve::{Listener, bind};
