//! The table of kinds that the server serves.
//!
//! `kinds.txt` has a row per resource and subresource; adding a kind is adding a row. Custom resource definitions add rows at
//! run time; older versions of Kubernetes have rows of their own (`old.rs`).

pub(crate) mod old;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;

pub(crate) use resource::{Gvk, PrinterColumn, Resource, Subresource, Verb, api_version, qualified};

use crate::version::KubernetesVersion;

const KINDS: &str = include_str!("kinds/kinds.txt");

/// The table of kinds.
pub(crate) struct Registry {
    /// Looked at many times in every request, and never waited for.
    inner: ArcSwap<Kinds>,
    changing: Mutex<()>,
}

/// One state of the table; it is replaced as a whole when a custom resource definition comes or goes.
#[derive(Clone, Default)]
pub(crate) struct Kinds {
    /// Group versions in the order of discovery, each with its resources in the order of discovery.
    pub(crate) group_versions: Vec<GroupVersion>,
    index: BTreeMap<String, Arc<Resource>>,
    /// By plural name: the groups that have such a resource, and the table in which its objects are, whatever the version.
    tables: HashMap<Arc<str>, Vec<InGroup>, RandomState>,
}

/// A group and the table of its resource.
type InGroup = (Arc<str>, Arc<str>);

/// The resources of one group version.
#[derive(Clone)]
pub(crate) struct GroupVersion {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The kinds of a cluster of that version.
    pub(crate) fn new(version: KubernetesVersion) -> Registry {
        let mut kinds = Kinds::parse(KINDS);
        kinds.go_back(version);
        Registry { inner: ArcSwap::from_pointee(kinds), changing: Mutex::default() }
    }

    /// The table as it is now.
    pub(crate) fn kinds(&self) -> Guard<Arc<Kinds>> {
        self.inner.load()
    }

    /// Changes the table; readers keep the state that they hold.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Kinds)) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = Kinds::clone(&self.inner.load());
        change(&mut kinds);
        self.inner.store(Arc::new(kinds));
    }

    /// The resource at `/apis/{group}/{version}/…/{resource}`.
    pub(crate) fn find(&self, group: &str, version: &str, resource: &str) -> Option<Arc<Resource>> {
        self.kinds().find(group, version, resource)
    }
}

impl Kinds {
    /// Reads the table; a row that is not whole is left out (a test makes sure that there is none).
    fn parse(text: &str) -> Kinds {
        let mut kinds = Kinds::default();
        let mut subresources: Vec<(String, Subresource)> = Vec::new();
        let mut resources: Vec<Resource> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match resource::parse(line) {
                Some(resource::Row::Resource(resource)) => resources.push(resource),
                Some(resource::Row::Subresource(of, subresource)) => subresources.push((of, subresource)),
                None => {}
            }
        }
        for mut resource in resources {
            let path = resource.gvr().to_string();
            resource.subresources =
                subresources.extract_if(.., |(of, _)| *of == path).map(|(_, subresource)| subresource).collect();
            kinds.add(resource);
        }
        kinds
    }

    /// Adds or replaces a resource.
    pub(crate) fn add(&mut self, resource: Resource) {
        let resource = Arc::new(resource);
        let gvr = resource.gvr();
        let existing =
            self.group_versions.iter().position(|served| served.group == gvr.group && served.version == gvr.version);
        let at = existing.unwrap_or_else(|| {
            self.group_versions.push(GroupVersion {
                group: gvr.group.clone(),
                version: gvr.version.clone(),
                resources: Vec::new(),
            });
            self.group_versions.len() - 1
        });
        let served = &mut self.group_versions[at].resources;
        match served.iter_mut().find(|other| other.plural == resource.plural) {
            Some(other) => *other = resource.clone(),
            None => served.push(resource.clone()),
        }
        let tables = self.tables.entry(resource.plural.clone()).or_default();
        match tables.iter_mut().find(|(group, _)| *group == gvr.group) {
            Some((_, table)) => *table = resource.table.clone(),
            None => tables.push((gvr.group.clone(), resource.table.clone())),
        }
        self.index.insert(gvr.to_string(), resource);
    }

    /// The table that holds the objects of a resource.
    pub(crate) fn table(&self, group: &str, plural: &str) -> Option<&Arc<str>> {
        self.tables.get(plural)?.iter().find(|(of, _)| **of == *group).map(|(_, table)| table)
    }

    /// Removes a resource in all versions.
    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        for served in self.group_versions.iter_mut().filter(|served| &*served.group == group) {
            served.resources.retain(|resource| &*resource.plural != plural);
        }
        self.group_versions.retain(|served| !served.resources.is_empty());
        self.index.retain(|_, resource| &*resource.gvk.group != group || &*resource.plural != plural);
        if let Some(tables) = self.tables.get_mut(plural) {
            tables.retain(|(of, _)| **of != *group);
        }
    }

    /// The resource of that group, version and plural name.
    pub(crate) fn find(&self, group: &str, version: &str, resource: &str) -> Option<Arc<Resource>> {
        self.index.get(&resource::path(group, version, resource)).cloned()
    }

    /// The resource that serves a kind.
    pub(crate) fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Resource>> {
        let served = self.group_version(group, version)?;
        served.resources.iter().find(|resource| &*resource.gvk.kind == kind).cloned()
    }

    /// Everything served in a group version.
    pub(crate) fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        self.group_versions.iter().find(|served| &*served.group == group && &*served.version == version)
    }

    /// Every resource, in the order of discovery.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.group_versions.iter().flat_map(|served| &served.resources)
    }

    /// All versions in which the same objects are served (`horizontalpodautoscalers` v1 and v2, `events` of both groups).
    pub(crate) fn same_storage<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.all().filter(move |resource| &*resource.table == table)
    }
}
