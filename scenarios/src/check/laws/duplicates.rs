use std::collections::{BTreeMap, BTreeSet};

use apimachinery::schema::{self, Kind, Type};
use apimachinery::value::Value;

use crate::check::case::Case;
use crate::check::change::path_text;
use crate::check::law::{About, Bench, Law, Testing, Verdict, settled};

/// Nothing is there twice.
pub(in crate::check) struct Duplicates;

const ABOUT: About = About {
    name: "duplicates",
    claim: "no list has two items of one name after the patch that had none such before",
    why: "Kubernetes: containers, volumes, mount paths and ports are keyed lists. Two containers of one name are refused \
          with a 422 after all webhooks have run; of two environment variables the last one wins, silently.",
    remedy: "look for the item by its key before adding it, also among initContainers",
};

impl Law for Duplicates {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(unique(bench, case).await) })
    }
}

async fn unique(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    let kind = &case.review["request"]["kind"];
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    let Some(ty) = schema::lookup(text("group"), text("version"), text("kind")) else {
        return Err(Verdict::Silent(format!("the keys of {}'s lists are not known", text("kind"))));
    };
    let patched = bench.changed(case).await?;
    let before = twice(&patched.before, ty);
    let lines = twice(&patched.after, ty)
        .into_iter()
        .filter(|(place, times)| before.get(place).is_none_or(|had| had < times))
        .map(|(place, times)| format!("{place}: is there {times} times"))
        .collect();
    Ok(Verdict::compared(lines, patched.before, patched.after))
}

/// Places of items that are there more than once, and how often.
fn twice(object: &Value, ty: &'static Type) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    walk(object, ty, &mut Vec::new(), &mut out);
    // Names of containers of all kinds are one set.
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for item in object["spec"][list].as_array().into_iter().flatten() {
            names.entry(item["name"].as_str().unwrap_or_default()).or_default().insert(list);
        }
    }
    for (name, lists) in names.into_iter().filter(|(_, lists)| lists.len() > 1) {
        let lists: Vec<&str> = lists.iter().copied().collect();
        out.insert(format!("container {name} in {}", lists.join(" and ")), lists.len());
    }
    out
}

fn walk(value: &Value, ty: &'static Type, path: &mut Vec<String>, out: &mut BTreeMap<String, usize>) {
    let Some(map) = value.as_object() else { return };
    for (key, value) in map {
        let Some(field) = ty.field(key) else { continue };
        path.push(key.clone().into());
        match (&field.kind, value) {
            (Kind::Object(inner), _) => walk(value, inner.get(), path, out),
            (Kind::List(item), Value::Array(items)) => {
                let keys: Vec<&str> = if field.list_map_keys.is_empty() {
                    field.merge_key.into_iter().collect()
                } else {
                    field.list_map_keys.clone()
                };
                let mut seen: BTreeMap<String, usize> = BTreeMap::new();
                for value in items {
                    // Without its first key an item cannot be told apart.
                    let Some(name) = keys.first().and_then(|first| plain(&value[*first])) else { continue };
                    let rest: String =
                        keys[1..].iter().filter_map(|key| plain(&value[*key])).map(|text| format!(",{text}")).collect();
                    *seen.entry(name + &rest).or_default() += 1;
                }
                for (name, times) in seen.into_iter().filter(|(_, times)| *times > 1) {
                    path.push(name);
                    out.insert(path_text(path), times);
                    path.pop();
                }
                if let Kind::Object(inner) = &**item {
                    for value in items {
                        path.push(plain(&value["name"]).unwrap_or_default());
                        walk(value, inner.get(), path, out);
                        path.pop();
                    }
                }
            }
            _ => {}
        }
        path.pop();
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone().into()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
