//! Reads the committed table.
//!
//! One line for a type, `T NAME`, then one for each of its fields, `NAME KIND`, both followed by attributes:
//!
//! | mark | on | meaning |
//! |---|---|---|
//! | `gGROUP/VERSION/KIND` | type | a kind it goes by |
//! | `a` | both | atomic for server-side apply |
//! | `!` | field | required |
//! | `s`, `k` | field | patch strategy, patch merge key |
//! | `l`, `m` | field | list type, list map keys |
//! | `e` | field | values allowed |
//! | `=` | field | default, as JSON without blanks |
//!
//! Kinds: `s` string, `i` and `l` whole numbers of 32 and 64 bits, `d` double, `b` boolean, `q` quantity, `x` number or
//! string, `t` and `u` times, `y` bytes, `*` anything, `[` a list of, `{` a map of, `@N` the type number N.

use std::sync::OnceLock;

use super::{Field, GroupVersionKind, Kind, ListType, Strategy, Type, TypeRef};

const TEXT: &str = include_str!("tables.txt");

pub(super) struct Tables {
    types: Vec<Type>,
    /// Sorted.
    kinds: Vec<(GroupVersionKind, u16)>,
    pod: u16,
    /// Stands in for a number that the table does not hold; cannot be reached from a table that the test has seen.
    nothing: Type,
}

pub(super) fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables::read(TEXT))
}

impl Tables {
    fn read(text: &'static str) -> Tables {
        let mut types: Vec<Type> = Vec::with_capacity(600);
        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), types.last_mut()) {
                (Some("T"), Some(name), _) => types.push(type_line(name, words)),
                (Some(name), Some(kind), Some(owner)) => owner.fields.push(field_line(name, kind, words)),
                _ => {}
            }
        }
        let atomic: Vec<bool> = types.iter().map(|owner| owner.atomic).collect();
        for field in types.iter_mut().flat_map(|owner| &mut owner.fields) {
            if let Kind::Object(TypeRef(number)) = field.kind {
                field.atomic |= atomic.get(usize::from(number)).copied().unwrap_or(false);
            }
        }
        let mut kinds: Vec<(GroupVersionKind, u16)> =
            (0..).zip(&types).flat_map(|(number, owner)| owner.kinds.iter().map(move |kind| (*kind, number))).collect();
        kinds.sort_unstable();
        let nothing = Type { name: "", atomic: false, kinds: Vec::new(), fields: Vec::new() };
        let mut tables = Tables { types, kinds, pod: u16::MAX, nothing };
        tables.pod = tables.number("", "v1", "Pod").unwrap_or(u16::MAX);
        tables
    }

    pub(super) fn get(&self, number: u16) -> &Type {
        self.types.get(usize::from(number)).unwrap_or(&self.nothing)
    }

    pub(super) fn pod(&self) -> &Type {
        self.get(self.pod)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Type> {
        let at = self.types.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.types.get(at)
    }

    pub(super) fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Type> {
        self.number(group, version, kind).map(|number| self.get(number))
    }

    fn number(&self, group: &str, version: &str, kind: &str) -> Option<u16> {
        let wanted = (group, version, kind);
        let at =
            self.kinds.binary_search_by(|(entry, _)| (entry.group, entry.version, entry.kind).cmp(&wanted)).ok()?;
        self.kinds.get(at).map(|(_, number)| *number)
    }
}

fn type_line(name: &'static str, words: std::str::Split<'static, char>) -> Type {
    let mut found = Type { name, atomic: false, kinds: Vec::new(), fields: Vec::new() };
    for word in words {
        if word == "a" {
            found.atomic = true;
        } else if let Some(kind) = word.strip_prefix('g') {
            let mut parts = kind.split('/');
            let mut part = || parts.next().unwrap_or_default();
            found.kinds.push(GroupVersionKind { group: part(), version: part(), kind: part() });
        }
    }
    found
}

fn field_line(name: &'static str, code: &'static str, words: std::str::Split<'static, char>) -> Field {
    let mut field = Field {
        name,
        kind: kind(code),
        required: false,
        strategy: Strategy::Unset,
        retain_keys: false,
        merge_key: None,
        list_type: None,
        list_map_keys: Vec::new(),
        atomic: false,
        default: None,
        enum_values: Vec::new(),
    };
    for word in words {
        let Some((mark, rest)) = word.split_at_checked(1) else { continue };
        match mark {
            "!" => field.required = true,
            "a" => field.atomic = true,
            "k" => field.merge_key = Some(rest),
            "m" => field.list_map_keys = rest.split(',').collect(),
            "e" => field.enum_values = rest.split(',').collect(),
            "=" => field.default = serde_json::from_str(rest).ok(),
            "l" => {
                field.list_type = match rest {
                    "map" => Some(ListType::Map),
                    "set" => Some(ListType::Set),
                    _ => Some(ListType::Atomic),
                }
            }
            "s" => {
                for strategy in rest.split(',') {
                    match strategy {
                        "merge" => field.strategy = Strategy::Merge,
                        "replace" => field.strategy = Strategy::Replace,
                        _ => field.retain_keys = true,
                    }
                }
            }
            _ => {}
        }
    }
    field
}

fn kind(code: &str) -> Kind {
    let Some((first, rest)) = code.split_at_checked(1) else { return Kind::Any };
    match first {
        "s" => Kind::String,
        "i" => Kind::Int32,
        "l" => Kind::Int64,
        "d" => Kind::Number,
        "b" => Kind::Boolean,
        "q" => Kind::Quantity,
        "x" => Kind::IntOrString,
        "t" => Kind::Time,
        "u" => Kind::MicroTime,
        "y" => Kind::Bytes,
        "[" => Kind::List(Box::new(kind(rest))),
        "{" => Kind::Map(Box::new(kind(rest))),
        "@" => rest.parse().map_or(Kind::Any, |number| Kind::Object(TypeRef(number))),
        _ => Kind::Any,
    }
}
