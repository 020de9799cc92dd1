//! Which kinds are served right now, custom resources included: what the namespace and garbage collectors have to look at.

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

/// Asks the server for its kinds: every stored kind that can be deleted, once.
#[derive(Clone)]
pub(crate) struct Discovery {
    list: Arc<dyn Fn() -> Arc<Vec<Served>> + Send + Sync>,
}

impl Discovery {
    pub(crate) fn new(list: impl Fn() -> Arc<Vec<Served>> + Send + Sync + 'static) -> Discovery {
        Discovery { list: Arc::new(list) }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Vec<Served>> {
        (self.list)()
    }

    /// The kind of a table.
    pub(crate) fn of_table(&self, table: &str) -> Option<Served> {
        self.all().iter().find(|served| *served.table == *table).cloned()
    }
}
