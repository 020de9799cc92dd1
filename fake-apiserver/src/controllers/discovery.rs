//! Which kinds are served right now, custom resources included: what the namespace and garbage collectors have to look at.

use std::collections::BTreeSet;
use std::sync::Arc;

/// One stored kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) kind: Arc<str>,
    /// Plural name in URLs.
    pub(crate) resource: Arc<str>,
    /// The store's table.
    pub(crate) table: Arc<str>,
    pub(crate) namespaced: bool,
    pub(crate) deletes_collections: bool,
}

/// Asks the server for its kinds.
#[derive(Clone)]
pub(crate) struct Discovery {
    list: Arc<dyn Fn() -> Vec<Served> + Send + Sync>,
}

impl Discovery {
    pub(crate) fn new(list: impl Fn() -> Vec<Served> + Send + Sync + 'static) -> Discovery {
        Discovery { list: Arc::new(list) }
    }

    /// Every stored kind that can be deleted, once.
    pub(crate) fn all(&self) -> Vec<Served> {
        let mut seen = BTreeSet::new();
        (self.list)().into_iter().filter(|served| seen.insert(served.table.clone())).collect()
    }

    /// Those with namespaces.
    pub(crate) fn namespaced(&self) -> Vec<Served> {
        self.all().into_iter().filter(|served| served.namespaced).collect()
    }
}
