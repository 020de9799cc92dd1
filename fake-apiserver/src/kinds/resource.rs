//! A row of the table of kinds.

use std::fmt;
use std::sync::Arc;

use apimachinery::value::Value;

/// Group, version and kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvk {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) kind: Arc<str>,
}

/// Group, version and resource (plural).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvr {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) resource: Arc<str>,
}

impl Gvk {
    /// From its parts; the core group is `""`.
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Gvk {
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, group: &str, version: &str, kind: &str) -> bool {
        (&*self.group, &*self.version, &*self.kind) == (group, version, kind)
    }

    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }
}

/// `v1` or `apps/v1`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The path of a resource below `/api` or `/apis`, which is its key in the table.
pub(super) fn path(group: &str, version: &str, resource: &str) -> String {
    format!("{group}/{version}/{resource}")
}

impl fmt::Display for Gvr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&path(&self.group, &self.version, &self.resource))
    }
}

/// A verb of the API, as discovery and RBAC name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    pub(crate) const ALL: [Verb; 8] = [
        Verb::Create,
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Update,
        Verb::Watch,
    ];

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        }
    }
}

/// A resource: where it is, what it is called, what can be done with it, and where its objects are stored.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) gvk: Gvk,
    /// `pods`
    pub(crate) plural: Arc<str>,
    /// `pod`
    pub(crate) singular: Arc<str>,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<Arc<str>>,
    pub(crate) categories: Vec<Arc<str>>,
    pub(crate) verbs: Vec<Verb>,
    /// What discovery shows as `storageVersionHash`; empty for what is not stored.
    pub(crate) storage_version_hash: Arc<str>,
    /// The store's table: `pods`, `deployments.apps`. Several versions of one resource share it.
    pub(crate) table: Arc<str>,
    /// The group, version and kind in which the table holds the objects.
    pub(crate) storage: Gvk,
    pub(crate) subresources: Vec<Subresource>,
    pub(crate) custom: bool,
    /// The structural schema of a custom resource's version.
    pub(crate) structural: Option<Arc<Value>>,
    /// Table columns of a custom resource; built-in kinds have theirs in a file.
    pub(crate) columns: Option<Arc<Value>>,
    /// Where the cells of those columns come from.
    pub(crate) printer_columns: Vec<PrinterColumn>,
    /// The text of the `Warning` header that every answer about it carries, if the version is deprecated.
    pub(crate) deprecation: Option<Arc<str>>,
}

/// One of a custom resource definition's `additionalPrinterColumns`.
#[derive(Clone, Debug)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    /// `.spec.replicas`
    pub(crate) path: String,
    /// Whether the cell is shown as an age.
    pub(crate) date: bool,
}

/// A subresource of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Subresource {
    /// `status`
    pub(crate) name: Arc<str>,
    /// The kind that is read and written there: the resource's own, or for example `autoscaling/v1 Scale`.
    pub(crate) gvk: Gvk,
    /// Whether `gvk` is of another group version than the resource (discovery then names it).
    pub(crate) foreign: bool,
    pub(crate) verbs: Vec<Verb>,
}

impl Resource {
    /// Where it is served.
    pub(crate) fn gvr(&self) -> Gvr {
        Gvr { group: self.gvk.group.clone(), version: self.gvk.version.clone(), resource: self.plural.clone() }
    }

    /// Where the version in which it is stored is served.
    pub(crate) fn stored_gvr(&self) -> Gvr {
        let Gvk { group, version, .. } = &self.storage;
        Gvr { group: group.clone(), version: version.clone(), resource: self.plural.clone() }
    }

    /// Whether its objects are kept (reviews and bindings are not).
    pub(crate) fn is_stored(&self) -> bool {
        self.verbs.contains(&Verb::Get) && !self.storage_version_hash.is_empty()
    }

    /// Where a custom column's cells come from.
    pub(crate) fn column_path(&self, name: &str) -> Option<&PrinterColumn> {
        self.printer_columns.iter().find(|column| column.name == name)
    }

    /// Whether a custom resource definition made it.
    pub(crate) fn is_custom(&self) -> bool {
        self.custom
    }

    /// The subresource of that name.
    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| &*subresource.name == name)
    }
}

/// `pods` or `deployments.apps`.
pub(crate) fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// A line of `kinds.txt`.
pub(super) enum Row {
    Resource(Resource),
    /// With the path of the resource that it belongs to.
    Subresource(String, Subresource),
}

fn group_version(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("", text))
}

fn list(text: &str) -> Vec<Arc<str>> {
    if text == "-" { Vec::new() } else { text.split(',').map(Arc::from).collect() }
}

/// Where the objects of a resource that is served in several places are kept.
fn storage(gvk: &Gvk, plural: &str) -> (Arc<str>, Gvk) {
    match (&*gvk.group, plural) {
        ("events.k8s.io", "events") => ("events".into(), Gvk::new("", "v1", "Event")),
        ("autoscaling", "horizontalpodautoscalers") => {
            (qualified(&gvk.group, plural).into(), Gvk::new("autoscaling", "v2", &gvk.kind))
        }
        _ => (qualified(&gvk.group, plural).into(), gvk.clone()),
    }
}

/// What clients of deprecated kinds are told.
fn deprecation(gvk: &Gvk) -> Option<Arc<str>> {
    match (&*gvk.group, &*gvk.kind) {
        ("", "Endpoints") => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".into()),
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+".into()),
        _ => None,
    }
}

pub(super) fn parse(line: &str) -> Option<Row> {
    let mut columns = line.split_ascii_whitespace();
    let mut next = || columns.next();
    let (group, version) = group_version(next()?);
    let (name, kind, scope, singular, short_names, categories, verbs, hash) =
        (next()?, next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    let verbs = match verbs {
        "*" => Verb::ALL.to_vec(),
        some => Verb::ALL.into_iter().filter(|verb| some.split(',').any(|word| word == verb.as_str())).collect(),
    };
    if let Some((of, subresource)) = name.split_once('/') {
        let (foreign, gvk) = match kind.split_once(',') {
            Some((api_version, kind)) => (true, {
                let (group, version) = group_version(api_version);
                Gvk::new(group, version, kind)
            }),
            None => (false, Gvk::new(group, version, kind)),
        };
        return Some(Row::Subresource(
            path(group, version, of),
            Subresource { name: subresource.into(), gvk, foreign, verbs },
        ));
    }
    let gvk = Gvk::new(group, version, kind);
    let (table, storage) = storage(&gvk, name);
    Some(Row::Resource(Resource {
        plural: name.into(),
        singular: singular.into(),
        namespaced: scope == "Namespaced",
        short_names: list(short_names),
        categories: list(categories),
        verbs,
        storage_version_hash: if hash == "-" { "".into() } else { hash.into() },
        table,
        storage,
        subresources: Vec::new(),
        custom: false,
        structural: None,
        columns: None,
        printer_columns: Vec::new(),
        deprecation: deprecation(&gvk),
        gvk,
    }))
}
