//! Sets of fields, in the shape of FieldsV1: a tree whose keys are path elements (`f:name`, `k:{…}`, `v:…`).

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value};

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set {
    /// Whether the path that leads here is in the set.
    member: bool,
    children: BTreeMap<String, Set>,
}

impl Set {
    /// Reads FieldsV1.
    pub(super) fn decode(value: &Value) -> Set {
        let fields = value.as_object();
        let children = fields
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != ".")
            .map(|(key, value)| {
                let mut child = Set::decode(value);
                // An element without anything below it stands for itself.
                child.member |= child.children.is_empty();
                (key.to_string(), child)
            })
            .collect();
        Set { member: fields.is_some_and(|fields| fields.contains_key(".")), children }
    }

    /// Writes FieldsV1.
    pub(super) fn encode(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (key, child) in &self.children {
            fields.insert(key.clone(), child.encode());
        }
        Value::Object(fields)
    }

    /// Whole fields: `status`, `metadata.labels`.
    pub(super) fn from_fields(fields: &[&str]) -> Set {
        let mut set = Set::default();
        for field in fields {
            set.at(field.split('.').map(|name| format!("f:{name}"))).member = true;
        }
        set
    }

    /// The subset at a path, made if need be.
    pub(super) fn at(&mut self, path: impl Iterator<Item = String>) -> &mut Set {
        let mut set = self;
        for element in path {
            set = set.children.entry(element).or_default();
        }
        set
    }

    /// Adds a path.
    pub(super) fn insert(&mut self, path: &[String]) {
        self.at(path.iter().cloned()).member = true;
    }

    /// Nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether the path that leads here is in the set.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// What is below, by path element.
    pub(super) fn children(&self) -> impl Iterator<Item = (&String, &Set)> {
        self.children.iter()
    }

    /// What is below one path element.
    pub(super) fn child(&self, element: &str) -> Option<&Set> {
        self.children.get(element)
    }

    /// Both together.
    pub(super) fn union(&self, other: &Set) -> Set {
        let mut both = self.clone();
        both.add(other);
        both
    }

    /// Whether a path of this set is in FieldsV1, too.
    pub(super) fn meets(&self, fields: &Value) -> bool {
        let is_member = |fields: &Value| fields.as_object().is_some_and(|all| all.is_empty() || all.contains_key("."));
        self.children.iter().any(|(key, child)| {
            fields.get(key).is_some_and(|below| (child.member && is_member(below)) || child.meets(below))
        })
    }

    pub(super) fn add(&mut self, other: &Set) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().add(child);
        }
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Set) -> Set {
        let mut children = BTreeMap::new();
        for (key, child) in &self.children {
            if let Some(found) = other.children.get(key).map(|other| child.intersection(other))
                && !found.is_empty()
            {
                children.insert(key.clone(), found);
            }
        }
        Set { member: self.member && other.member, children }
    }

    /// Takes another set's paths out, each for itself.
    pub(super) fn subtract(&mut self, other: &Set) {
        self.member &= !other.member;
        for (key, child) in &other.children {
            if let Some(own) = self.children.get_mut(key) {
                own.subtract(child);
                if own.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// Takes another set's paths out with everything below them.
    pub(super) fn remove_below(&mut self, other: &Set) {
        for (key, child) in &other.children {
            if child.member {
                self.children.remove(key);
            } else if let Some(own) = self.children.get_mut(key) {
                own.remove_below(child);
                if own.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// Every path in the set, as the apiserver prints it: `.spec.containers[name="app"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.walk(&mut String::new(), &mut out);
        out
    }

    fn walk(&self, path: &mut String, out: &mut Vec<String>) {
        if self.member {
            out.push(path.clone());
        }
        for (key, child) in &self.children {
            let length = path.len();
            path.push_str(&printed(key));
            child.walk(path, out);
            path.truncate(length);
        }
    }
}

/// A path element as the apiserver prints it.
fn printed(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: Map = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        _ => format!("[{}]", element.trim_start_matches("i:")),
    }
}
