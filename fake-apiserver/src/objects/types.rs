//! The types of the API: which fields there are, of which type, and how the apiserver's own types write them.
//!
//! `types/types.txt` is made by `types/generate.py` from the server's OpenAPI. A line without indentation begins a type, `+` lines
//! name the kinds that it is the type of, indented lines are its fields: name, code of the type, flags, list type.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::Target;

const TEXT: &str = include_str!("types/types.txt");

/// A type of the API.
#[derive(Debug)]
pub(crate) struct Type {
    /// The name as the apiserver's error texts use it: `PodSpec`.
    pub(crate) name: &'static str,
    /// Owned as a whole, never field by field.
    pub(crate) atomic: bool,
    fields: Vec<Field>,
    always: Vec<usize>,
}

/// A field of a type.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in JSON.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Written even when it is zero: `""`, `0`, `null`, `{}`.
    pub(crate) always: bool,
    /// Left out when it is zero (it is no pointer).
    pub(crate) plain: bool,
    /// How lists and maps are owned.
    pub(crate) listing: Listing,
    /// Name of a string type, as error texts have it.
    go: Option<&'static str>,
    /// The default of a list's key (`protocol`), by which it is found when absent.
    pub(crate) default: Option<&'static str>,
}

/// How the elements of a list or map belong to their owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Maps: key by key. Structs: field by field. Lists: as a whole.
    Granular,
    /// As a whole.
    Atomic,
    /// A list whose elements are its keys.
    Set,
    /// A list of objects that are told apart by these fields.
    Map(Vec<&'static str>),
}

/// What a field holds.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    String,
    Int32,
    Int64,
    Float,
    Bool,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Bytes,
    Any,
    Struct(usize),
    Map(Box<Kind>),
    List(Box<Kind>),
}

struct Table {
    types: Vec<Type>,
    kinds: HashMap<&'static str, Vec<(&'static str, &'static str, usize)>>,
    packages: Vec<&'static str>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| parse(TEXT))
}

/// The type of a kind; `None` for custom resources and unknown kinds.
pub(crate) fn lookup(target: Target<'_>) -> Option<&'static Type> {
    let table = table();
    let index = *table.kinds.get(target.kind)?.iter().find(|(group, version, _)| {
        *group == target.group && *version == target.version
    }).map(|(_, _, index)| index)?;
    table.types.get(index)
}

impl Kind {
    /// The type of a struct.
    pub(crate) fn as_struct(&self) -> Option<&'static Type> {
        match self {
            Kind::Struct(index) => table().types.get(*index),
            _ => None,
        }
    }

    /// The name of the type in the apiserver's error texts: `int32`, `[]v1.Container`.
    pub(crate) fn go(&self) -> String {
        match self {
            Kind::String => "string".to_owned(),
            Kind::Int32 => "int32".to_owned(),
            Kind::Int64 => "int64".to_owned(),
            Kind::Float => "float64".to_owned(),
            Kind::Bool => "bool".to_owned(),
            Kind::Quantity => "resource.Quantity".to_owned(),
            Kind::IntOrString => "intstr.IntOrString".to_owned(),
            Kind::Time | Kind::MicroTime => "string".to_owned(),
            Kind::Bytes => "[]uint8".to_owned(),
            Kind::Any => "interface {}".to_owned(),
            Kind::Struct(index) => {
                let table = table();
                let name = table.types.get(*index).map_or("", |ty| ty.name);
                format!("{}.{name}", table.packages.get(*index).unwrap_or(&"v1"))
            }
            Kind::Map(value) => match **value {
                Kind::Quantity => "v1.ResourceList".to_owned(),
                ref other => format!("map[string]{}", other.go()),
            },
            Kind::List(item) => format!("[]{}", item.go()),
        }
    }
}

impl Type {
    /// The field of that name; case matters.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|index| &self.fields[index])
    }

    /// The fields that are written even when zero.
    pub(crate) fn always(&self) -> impl Iterator<Item = &Field> {
        self.always.iter().map(|index| &self.fields[*index])
    }
}

impl Field {
    /// The name of the field's type in the apiserver's error texts.
    pub(crate) fn go(&self) -> String {
        self.go.map_or_else(|| self.kind.go(), str::to_owned)
    }
}

fn parse(text: &'static str) -> Table {
    let mut table = Table { types: Vec::new(), kinds: HashMap::new(), packages: Vec::new() };
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix('+') {
            let mut parts = kind.splitn(3, '/');
            if let (Some(group), Some(version), Some(kind)) = (parts.next(), parts.next(), parts.next()) {
                let index = table.types.len().saturating_sub(1);
                table.kinds.entry(kind).or_default().push((group, version, index));
            }
        } else if let Some(field) = line.strip_prefix(' ') {
            if let (Some(ty), Some(field)) = (table.types.last_mut(), parse_field(field)) {
                if field.always {
                    ty.always.push(ty.fields.len());
                }
                ty.fields.push(field);
            }
        } else {
            let (name, atomic) = line.split_once(' ').map_or((line, false), |(name, _)| (name, true));
            let (rest, name) = name.rsplit_once('.').unwrap_or(("v1", name));
            table.packages.push(rest.rsplit('.').next().unwrap_or("v1"));
            table.types.push(Type { name, atomic, fields: Vec::new(), always: Vec::new() });
        }
    }
    table
}

fn parse_field(line: &'static str) -> Option<Field> {
    let mut words = line.split(' ');
    let (name, code, flag) = (words.next()?, words.next()?, words.next()?);
    let mut field = Field {
        name,
        kind: parse_kind(code),
        always: flag == "!",
        plain: flag == "0",
        listing: Listing::Granular,
        go: None,
        default: None,
    };
    for word in words {
        match word.split_once(':') {
            Some(("map", keys)) => field.listing = Listing::Map(keys.split(',').collect()),
            Some(("go", name)) => field.go = Some(name),
            Some(("default", value)) => field.default = Some(value.trim_matches('"')),
            None if word == "atomic" => field.listing = Listing::Atomic,
            None if word == "set" => field.listing = Listing::Set,
            _ => {}
        }
    }
    Some(field)
}

fn parse_kind(code: &str) -> Kind {
    match code {
        "s" => Kind::String,
        "i32" => Kind::Int32,
        "i64" => Kind::Int64,
        "f" => Kind::Float,
        "b" => Kind::Bool,
        "q" => Kind::Quantity,
        "x" => Kind::IntOrString,
        "t" => Kind::Time,
        "u" => Kind::MicroTime,
        "B" => Kind::Bytes,
        _ => match (code.as_bytes().first(), code.get(1..)) {
            (Some(b'@'), Some(number)) => number.parse().map_or(Kind::Any, Kind::Struct),
            (Some(b'm'), Some(value)) => Kind::Map(Box::new(parse_kind(value))),
            (Some(b'l'), Some(item)) => Kind::List(Box::new(parse_kind(item))),
            _ => Kind::Any,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let pod = lookup(Target::new("", "v1", "Pod")).expect("Pod");
        let spec = pod.field("spec").expect("spec");
        assert!(spec.always);
        let spec = spec.kind.as_struct().expect("a struct");
        let containers = spec.field("containers").expect("containers");
        assert_eq!((containers.go().as_str(), containers.always), ("[]v1.Container", true));
        assert_eq!(containers.listing, Listing::Map(vec!["name"]));
        assert!(spec.field("hostNetwork").expect("hostNetwork").plain);
        assert!(!spec.field("enableServiceLinks").expect("enableServiceLinks").plain);
        for ty in &table().types {
            assert!(ty.fields.is_sorted_by_key(|field| field.name), "{}", ty.name);
        }
    }
}
