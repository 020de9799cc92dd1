//! One stored object: a JSON value that never changes again, and its JSON text once somebody asked for it.
//!
//! A value of thousands of small maps takes ten times the memory of its text. So what is seldom read is kept as text: of
//! every object who manages which fields (a third of a pod), of some tables everything.

use std::sync::{Arc, OnceLock};

use ::admission::gojson;
use apimachinery::value::{Map, Value};
use bytes::Bytes;

const MANAGED: &str = "managedFields";

/// What is nested deeper is not kept as text.
const DEEPEST: usize = 100;

/// An object as stored, at one revision.
#[derive(Debug)]
pub(crate) struct Object {
    key: Arc<str>,
    revision: u64,
    kept: Kept,
    /// The object without managedFields; of a packed one from the first time that it is read.
    value: OnceLock<Arc<Value>>,
    json: OnceLock<Bytes>,
}

/// What is not in the value.
#[derive(Debug)]
enum Kept {
    /// The text of `metadata.managedFields`.
    Managed(Option<Box<[u8]>>),
    /// The text of the whole object; its resourceVersion may be an older one.
    Whole(Bytes),
}

static EMPTY: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);

fn metadata_of(value: &mut Value) -> Option<&mut Map> {
    value.get_mut("metadata").and_then(Value::as_object_mut)
}

/// Whether a value can be read from its own text: readers of JSON stop at a depth of 128.
fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(fields) => levels > 0 && fields.values().all(|value| is_shallow(value, levels - 1)),
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        _ => true,
    }
}

fn parse(text: &[u8]) -> Value {
    // It was written by this module.
    serde_json::from_slice(text).unwrap_or_default()
}

impl Object {
    /// An object of the parts that [`take_managed`] made.
    pub(super) fn new(key: Arc<str>, mut value: Value, managed: Option<Box<[u8]>>, revision: u64) -> Object {
        if let Some(metadata) = metadata_of(&mut value) {
            metadata.insert("resourceVersion".to_owned(), Value::from(revision.to_string()));
        }
        Object::made(key, revision, Kept::Managed(managed), Some(Arc::new(value)))
    }

    /// The same as text alone, for what is hardly ever read.
    pub(super) fn packed(key: Arc<str>, mut value: Value, revision: u64) -> Object {
        if !is_shallow(&value, DEEPEST) {
            return Object::new(key, value, None, revision);
        }
        if let Some(metadata) = metadata_of(&mut value) {
            metadata.insert("resourceVersion".to_owned(), Value::from(revision.to_string()));
        }
        let text = Bytes::from(gojson::plain_to_vec(&value).into_boxed_slice());
        let object = Object::made(key, revision, Kept::Whole(text.clone()), None);
        object.json.get_or_init(|| text);
        object
    }

    fn made(key: Arc<str>, revision: u64, kept: Kept, value: Option<Arc<Value>>) -> Object {
        let value = value.map_or_else(OnceLock::new, OnceLock::from);
        Object { key, revision, kept, value, json: OnceLock::new() }
    }

    /// The same object as if it had been written at another revision.
    pub(crate) fn at(&self, revision: u64) -> Object {
        let key = self.key.clone();
        match &self.kept {
            Kept::Whole(text) => Object::made(key, revision, Kept::Whole(text.clone()), None),
            Kept::Managed(managed) => Object::new(key, self.value().clone(), managed.clone(), revision),
        }
    }

    /// For a reader: what reading a packed object unpacks goes with the reader.
    pub(super) fn lend(self: &Arc<Object>) -> Arc<Object> {
        match &self.kept {
            Kept::Managed(_) => self.clone(),
            Kept::Whole(text) => {
                let own = Object::made(self.key.clone(), self.revision, Kept::Whole(text.clone()), None);
                Arc::new(Object { json: self.json.clone(), ..own })
            }
        }
    }

    /// `namespace/name`, or the name of a cluster-scoped object.
    pub(crate) fn key(&self) -> Arc<str> {
        self.key.clone()
    }

    /// The object without `metadata.managedFields`, `apiVersion` and `kind` of the storage version included.
    pub(crate) fn value(&self) -> &Value {
        self.unpacked()
    }

    /// The same, shared.
    pub(crate) fn shared(&self) -> Arc<Value> {
        self.unpacked().clone()
    }

    fn unpacked(&self) -> &Arc<Value> {
        self.value.get_or_init(|| {
            let mut value = self.assembled();
            if let Some(metadata) = metadata_of(&mut value) {
                metadata.remove(MANAGED);
            }
            Arc::new(value)
        })
    }

    /// The object with its managedFields, built anew for whoever asks.
    pub(crate) fn whole(&self) -> Arc<Value> {
        match &self.kept {
            Kept::Managed(None) => self.shared(),
            _ => Arc::new(self.assembled()),
        }
    }

    fn assembled(&self) -> Value {
        let (mut value, field, content) = match &self.kept {
            Kept::Managed(None) => return self.value().clone(),
            Kept::Managed(Some(managed)) => (self.value().clone(), MANAGED, parse(managed)),
            Kept::Whole(text) => (parse(text), "resourceVersion", Value::from(self.revision.to_string())),
        };
        if let Some(metadata) = metadata_of(&mut value) {
            metadata.insert(field.to_owned(), content);
        }
        value
    }

    /// The revision of the write that made it so; equals `metadata.resourceVersion`.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The whole object's JSON text; serialised once however many watchers and readers there are.
    pub(crate) fn json(&self) -> Bytes {
        let text = || match &self.kept {
            Kept::Managed(Some(managed)) => spliced(self.value(), managed),
            Kept::Managed(None) => gojson::plain_to_vec(self.value()),
            Kept::Whole(_) => gojson::plain_to_vec(&self.assembled()),
        };
        self.json.get_or_init(|| Bytes::from(text())).clone()
    }

    /// `metadata`, empty if there is none.
    pub(crate) fn metadata(&self) -> &Map {
        self.value().get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
    }

    /// A text field of `metadata`, `""` if absent.
    pub(crate) fn meta(&self, field: &str) -> &str {
        self.metadata().get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.key.split_once('/').map_or(&*self.key, |(_, name)| name)
    }

    /// `metadata.namespace`, `""` for cluster-scoped objects.
    pub(crate) fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// `metadata.labels`, empty if there are none.
    pub(crate) fn labels(&self) -> &Map {
        self.metadata().get("labels").and_then(Value::as_object).unwrap_or(&EMPTY)
    }
}

/// Takes managedFields out of an object that is about to be stored; their text, if it has any.
pub(super) fn take_managed(value: &mut Value) -> Option<Box<[u8]>> {
    let metadata = metadata_of(value)?;
    metadata.get(MANAGED).filter(|list| list.is_array() && is_shallow(list, DEEPEST))?;
    metadata.remove(MANAGED).map(|list| gojson::plain_to_vec(&list).into_boxed_slice())
}

/// Puts them back.
pub(super) fn put_managed(value: &mut Value, managed: Option<Box<[u8]>>) {
    if let (Some(managed), Some(metadata)) = (managed, metadata_of(value)) {
        metadata.insert(MANAGED.to_owned(), parse(&managed));
    }
}

/// The JSON text of an object with managedFields, whose text is there already, in their place.
fn spliced(value: &Value, managed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096 + managed.len());
    let fields = value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), Part::Value(value)));
    write(&mut out, fields, |out, name, part| match part {
        Part::Value(Value::Object(metadata)) if name == "metadata" => {
            let own = metadata.iter().map(|(name, value)| (name.as_str(), Part::Value(value)));
            let (before, after): (Vec<_>, Vec<_>) = own.partition(|(name, _)| *name < MANAGED);
            let all = before.into_iter().chain([(MANAGED, Part::Text(managed))]).chain(after);
            write(out, all, |out, _, part| part.write(out));
        }
        part => part.write(out),
    });
    out
}

/// The content of a field.
enum Part<'a> {
    Value(&'a Value),
    Text(&'a [u8]),
}

impl Part<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Part::Value(value) => gojson::plain_append(out, value),
            Part::Text(text) => out.extend_from_slice(text),
        }
    }
}

fn write<'a>(
    out: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a str, Part<'a>)>,
    content: impl Fn(&mut Vec<u8>, &str, Part<'a>),
) {
    out.push(b'{');
    for (index, (name, part)) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        // Writing to a vector does not fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b':');
        content(out, name, part);
    }
    out.push(b'}');
}

/// The key that an object's own metadata give it.
pub(super) fn key_of(value: &Value) -> String {
    let meta = |field| {
        value.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
    };
    super::key(meta("namespace"), meta("name"))
}
