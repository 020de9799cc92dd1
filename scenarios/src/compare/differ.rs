//! The differences of two objects, by what they mean to Kubernetes.
//!
//! Items of lists are told apart by the merge keys of the schema, so that an inserted container is one difference; where
//! the order of items that both have is another, that is a difference of its own. Strings that are JSON on both sides are
//! entered, and lists of texts in them are sets. A container that is in the other of the two lists of containers has moved,
//! and is compared as what it was. Equal are: null, an empty list and nothing; nothing and what the API takes it for;
//! quantities of one value; JSON texts of one value.

use std::collections::{HashMap, HashSet};

use apimachinery::quantity::Quantity;
use apimachinery::schema::{Field, Kind, ListType, Type};
use apimachinery::value::{Map, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::ChangeKind;

/// A step from an object into its depth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A field of an object.
    Key(String),
    /// The item of a list that has these values in these fields.
    Item(Vec<(String, Value)>),
    /// The item at this index.
    Index(usize),
    /// The value after this flag in a list of arguments.
    Flag(String),
    /// Into the JSON that a string is.
    Json,
    /// A list of containers, and the one in which the item that follows was before.
    Moved {
        /// The baseline's.
        from: &'static str,
        /// The candidate's.
        to: &'static str,
    },
}

/// A difference, with the values as they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) kind: ChangeKind,
    pub(super) path: Vec<Step>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Deepest nesting that is entered; what lies deeper is compared as a whole.
const DEPTH: usize = 64;
/// Most items of a list without keys that are aligned with each other.
const ALIGNED: usize = 2000;

/// All differences of two objects of this type; without a type by the shape of what is there.
pub(super) fn differences(before: &Value, after: &Value, ty: Option<&'static Type>) -> Vec<Difference> {
    let mut differ = Differ { path: Vec::new(), found: Vec::new() };
    let place = ty.map_or(Place::Unknown, Place::Object);
    differ.value(Some(before), Some(after), place);
    differ.found
}

/// What the schema knows of a place.
#[derive(Clone, Copy)]
enum Place<'a> {
    Unknown,
    Object(&'static Type),
    Field(&'a Field),
    Kind(&'a Kind),
}

impl<'a> Place<'a> {
    fn object(self) -> Option<&'static Type> {
        match self {
            Self::Object(ty) => Some(ty),
            Self::Field(Field { kind: Kind::Object(ty), .. }) | Self::Kind(Kind::Object(ty)) => Some(ty.get()),
            _ => None,
        }
    }

    fn kind(self) -> Option<&'a Kind> {
        match self {
            Self::Field(field) => Some(&field.kind),
            Self::Kind(kind) => Some(kind),
            _ => None,
        }
    }

    /// Of a field of the object here, or a value of the map.
    fn below(self, key: &str) -> Place<'a> {
        if let Some(ty) = self.object() {
            return ty.field(key).map_or(Place::Unknown, Place::Field);
        }
        match self.kind() {
            Some(Kind::Map(inner)) => Place::Kind(inner),
            _ => Place::Unknown,
        }
    }

    /// A map, such as that of the labels.
    fn is_map(self) -> bool {
        matches!(self.kind(), Some(Kind::Map(_)))
    }

    /// Of an item of the list here.
    fn item(self) -> Place<'a> {
        match self.kind() {
            Some(Kind::List(inner)) => Place::Kind(inner),
            _ => Place::Unknown,
        }
    }

    /// The fields by which items of the list here are told apart.
    fn keys(self) -> Vec<&'a str> {
        let Self::Field(field) = self else { return Vec::new() };
        if field.list_type == Some(ListType::Map) && !field.list_map_keys.is_empty() {
            return field.list_map_keys.clone();
        }
        field.merge_key.into_iter().collect()
    }
}

struct Differ {
    path: Vec<Step>,
    found: Vec<Difference>,
}

impl Differ {
    fn add(&mut self, kind: ChangeKind, before: Option<Value>, after: Option<Value>) {
        self.found.push(Difference { kind, path: self.path.clone(), before, after });
    }

    fn at(&mut self, step: Step, visit: impl FnOnce(&mut Self)) {
        self.path.push(step);
        visit(self);
        self.path.pop();
    }

    fn value(&mut self, before: Option<&Value>, after: Option<&Value>, place: Place<'_>) {
        let there =
            |value: &&Value| !matches!(value, Value::Null) && value.as_array().is_none_or(|list| !list.is_empty());
        match (before.filter(there), after.filter(there)) {
            (None, None) => {}
            (None, Some(value)) | (Some(value), None) if is_default(&self.path, value, place) => {}
            // What has no items of its own to be told apart is one thing; of a list of containers each is.
            (None, Some(Value::Array(list))) if !place.keys().is_empty() => self.lists(&[], list, place),
            (Some(Value::Array(list)), None) if !place.keys().is_empty() => self.lists(list, &[], place),
            (None, Some(Value::Object(map))) if place.is_map() => self.objects(&Map::new(), map, place),
            (Some(Value::Object(map)), None) if place.is_map() => self.objects(map, &Map::new(), place),
            (None, Some(after)) => self.add(ChangeKind::Added, None, Some(after.clone())),
            (Some(before), None) => self.add(ChangeKind::Removed, Some(before.clone()), None),
            (Some(before), Some(after)) if before != after => self.both(before, after, place),
            _ => {}
        }
    }

    fn both(&mut self, before: &Value, after: &Value, place: Place<'_>) {
        match (before, after) {
            _ if self.path.len() >= DEPTH => {}
            (Value::Object(before), Value::Object(after)) => return self.objects(before, after, place),
            (Value::Array(before), Value::Array(after)) => return self.lists(before, after, place),
            (Value::String(a), Value::String(b)) => {
                if let (Some(a), Some(b)) = (embedded(a), embedded(b)) {
                    return self.at(Step::Json, |differ| differ.value(Some(&a), Some(&b), Place::Unknown));
                }
            }
            _ => {}
        }
        if matches!(place.kind(), Some(Kind::Quantity)) && same_quantity(before, after) {
            return;
        }
        self.add(ChangeKind::Changed, Some(before.clone()), Some(after.clone()));
    }

    fn objects(&mut self, before: &Map, after: &Map, place: Place<'_>) {
        let moved = self.moved(before, after, place);
        let stayed = |key: &str, list: Option<&Value>| {
            let list = list.filter(|_| CONTAINERS.contains(&key) && !moved.is_empty())?.as_array()?;
            let stays = |item: &&Value| !item["name"].as_str().is_some_and(|name| moved.contains(name));
            Some(Value::Array(list.iter().filter(stays).cloned().collect()))
        };
        let added = after.keys().filter(|key| !before.contains_key(key));
        for key in before.keys().chain(added) {
            let below = place.below(key);
            let (old, new) = (before.get(key), after.get(key));
            let (less, fewer) = (stayed(key, old), stayed(key, new));
            let (old, new) = (less.as_ref().or(old), fewer.as_ref().or(new));
            self.at(Step::Key(key.clone().into()), |differ| differ.value(old, new, below));
        }
    }

    /// Compares containers that are in the other list now, such as a sidecar that became a native one; their names.
    fn moved<'a>(&mut self, before: &'a Map, after: &Map, place: Place<'_>) -> HashSet<&'a str> {
        let mut names = HashSet::new();
        if !place.object().is_some_and(|ty| CONTAINERS.iter().all(|list| ty.field(list).is_some())) {
            return names;
        }
        let [old, new] = [before, after].map(|spec| CONTAINERS.map(|list| by_name(spec.get(list))));
        for (at, (from, to)) in [(CONTAINERS[0], CONTAINERS[1]), (CONTAINERS[1], CONTAINERS[0])].into_iter().enumerate()
        {
            for item in before.get(from).and_then(Value::as_array).into_iter().flatten() {
                let Some(name) = item["name"].as_str() else { continue };
                let (Some(other), None, None) = (new[1 - at].get(name), new[at].get(name), old[1 - at].get(name))
                else {
                    continue;
                };
                if !names.insert(name) {
                    continue;
                }
                let below = place.below(to).item();
                self.at(Step::Moved { from, to }, |differ| {
                    differ.at(Step::Item(vec![("name".to_owned(), name.into())]), |differ| {
                        differ.add(ChangeKind::Moved, Some(from.into()), Some(to.into()));
                        differ.value(Some(item), Some(other), below);
                    });
                });
            }
        }
        names
    }

    fn lists(&mut self, before: &[Value], after: &[Value], place: Place<'_>) {
        let keys = place.keys();
        let keyed = |keys: &[&str]| Some((identities(before, keys)?, identities(after, keys)?));
        let by_name = || if keys.is_empty() { keyed(&["name"]) } else { None };
        match keyed(&keys).or_else(by_name) {
            Some((old, new)) => self.keyed(before, after, (old, new), place),
            None => self.aligned(before, after, place),
        }
    }

    /// Lists whose items have names.
    fn keyed(&mut self, before: &[Value], after: &[Value], ids: (Vec<Id>, Vec<Id>), place: Place<'_>) {
        let (old, new) = ids;
        let position: HashMap<String, usize> = new.iter().enumerate().map(|(at, id)| (id.text.clone(), at)).collect();
        let mut common = Vec::new();
        for (id, item) in old.iter().zip(before) {
            let at = position.get(&id.text).copied();
            common.extend(at);
            let other = at.and_then(|at| after.get(at));
            self.at(Step::Item(id.keys.clone()), |differ| differ.value(Some(item), other, place.item()));
        }
        let mut kept = vec![false; after.len()];
        for at in &common {
            if let Some(kept) = kept.get_mut(*at) {
                *kept = true;
            }
        }
        for ((id, item), _) in new.iter().zip(after).zip(&kept).filter(|(_, kept)| !**kept) {
            self.at(Step::Item(id.keys.clone()), |differ| differ.value(None, Some(item), place.item()));
        }
        if !common.is_sorted() {
            let name = |at: &usize| new.get(*at).map(Id::value).unwrap_or_default();
            let was: Vec<Value> = common.iter().map(name).collect();
            common.sort_unstable();
            let is: Vec<Value> = common.iter().map(name).collect();
            self.add(ChangeKind::Reordered, Some(was.into()), Some(is.into()));
        }
    }

    /// Lists of texts that mean the same in any order: within JSON, where nothing says more about them.
    fn sets(&mut self, before: &[Value], after: &[Value]) -> bool {
        fn set(list: &[Value]) -> Option<HashSet<&str>> {
            let set = list.iter().map(Value::as_str).collect::<Option<HashSet<_>>>()?;
            (set.len() == list.len()).then_some(set)
        }
        let (Some(old), Some(new), true) = (set(before), set(after), self.path.contains(&Step::Json)) else {
            return false;
        };
        let is_in = |set: &HashSet<&str>, text: &Value| text.as_str().is_some_and(|text| set.contains(text));
        for gone in before.iter().filter(|text| !is_in(&new, text)) {
            self.add(ChangeKind::Removed, Some(gone.clone()), None);
        }
        for come in after.iter().filter(|text| !is_in(&old, text)) {
            self.add(ChangeKind::Added, None, Some(come.clone()));
        }
        true
    }

    /// Lists of scalars, or of things without names.
    fn aligned(&mut self, before: &[Value], after: &[Value], place: Place<'_>) {
        if before.len() + after.len() > ALIGNED {
            return self.add(ChangeKind::Changed, Some(before.to_vec().into()), Some(after.to_vec().into()));
        }
        if self.sets(before, after) {
            return;
        }
        // Values have no order and no hash; their texts do.
        let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
        for op in capture_diff_slices(Algorithm::Myers, &texts(before), &texts(after)) {
            let (old, new) = (op.old_range(), op.new_range());
            if matches!(op, DiffOp::Equal { .. }) {
                continue;
            }
            let (gone, come) = (before.get(old.clone()).unwrap_or_default(), after.get(new).unwrap_or_default());
            // What stands after a flag is that flag's value.
            let flag = old.start.checked_sub(1).and_then(|at| before.get(at)?.as_str());
            let flag = flag.filter(|flag| flag.starts_with('-') && !flag.contains('='));
            match (gone, come) {
                ([gone], [come]) if gone.is_object() && come.is_object() => {
                    self.at(Step::Index(old.start), |differ| differ.value(Some(gone), Some(come), place.item()));
                }
                ([gone], [come]) if flag.is_some() => {
                    let flag = flag.unwrap_or_default().to_owned();
                    self.at(Step::Flag(flag), |differ| differ.value(Some(gone), Some(come), Place::Unknown));
                }
                _ => {
                    let kind = match (gone.is_empty(), come.is_empty()) {
                        (true, _) => ChangeKind::Added,
                        (_, true) => ChangeKind::Removed,
                        _ => ChangeKind::Changed,
                    };
                    self.add(kind, some(gone), some(come));
                }
            }
        }
    }
}

fn some(items: &[Value]) -> Option<Value> {
    match items {
        [] => None,
        [one] if !one.is_array() => Some(one.clone()),
        many => Some(many.to_vec().into()),
    }
}

/// What an item of a list is called.
struct Id {
    keys: Vec<(String, Value)>,
    text: String,
}

impl Id {
    fn value(&self) -> Value {
        let values: Vec<String> = self.keys.iter().map(|(_, value)| plain(value)).collect();
        values.join("/").into()
    }
}

/// A scalar without quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the items of a list are called, the second of a name told apart from the first; `None` if one has no name.
fn identities(list: &[Value], keys: &[&str]) -> Option<Vec<Id>> {
    let first = keys.first()?;
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut ids = Vec::with_capacity(list.len());
    for item in list {
        let item = item.as_object()?;
        item.get(first)?;
        let mut named: Vec<(String, Value)> = keys
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())))
            // A port's protocol is TCP unless it says otherwise.
            .filter(|(key, value)| !(key == "protocol" && value == "TCP"))
            .collect();
        if named.iter().any(|(_, value)| value.is_object() || value.is_array()) {
            return None;
        }
        let mut text = named.iter().map(|(_, value)| value.to_string()).collect::<Vec<_>>().join("/");
        let count = seen.entry(text.clone()).or_default();
        *count += 1;
        if *count > 1 {
            text.push_str(&format!("#{count}"));
            named.push(("occurrence".to_owned(), (*count).into()));
        }
        ids.push(Id { keys: named, text });
    }
    Some(ids)
}

/// JSON that is the text of a string: an object or a list.
fn embedded(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The lists of containers of a pod that a container can move between.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

fn by_name(list: Option<&Value>) -> HashMap<&str, &Value> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((item["name"].as_str()?, item))).collect()
}

/// A value that means the same as nothing.
fn is_default(path: &[Step], value: &Value, place: Place<'_>) -> bool {
    let (parents, Some(Step::Key(key))) = (path.len().saturating_sub(2), path.last()) else { return false };
    if value.as_object().is_some_and(Map::is_empty) {
        let same = ["annotations", "labels", "nodeSelector", "resources", "securityContext", "status"];
        return same.contains(&key.as_str());
    }
    let Place::Field(field) = place else { return false };
    // What the API's documentation calls the default; its schema has few of them.
    field.default.as_ref() == Some(value)
        || match (path.get(parents), key.as_str()) {
            (_, "terminationMessagePath") => value == "/dev/termination-log",
            (_, "terminationMessagePolicy") => value == "File",
            (Some(Step::Key(parent)), "scheme") if parent == "httpGet" => value == "HTTP",
            (Some(Step::Key(parent)), "apiVersion") if parent == "fieldRef" => value == "v1",
            (Some(Step::Key(parent)), key) if parent.ends_with("Probe") => match key {
                "successThreshold" | "timeoutSeconds" => value == 1,
                "failureThreshold" => value == 3,
                "periodSeconds" => value == 10,
                "initialDelaySeconds" => value == 0,
                _ => false,
            },
            _ => false,
        }
}

fn same_quantity(before: &Value, after: &Value) -> bool {
    match (Quantity::parse(&plain(before)), Quantity::parse(&plain(after))) {
        (Some(before), Some(after)) => before == after,
        _ => false,
    }
}
