//! CEL's `authorizer`: who may do what, asked in steps such as
//! `authorizer.group('').resource('pods').namespace('ns').check('delete').allowed()`.
//!
//! CEL functions cannot reach the cluster, so an evaluation that meets an unknown question stops; the question is answered
//! and the expression evaluated again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube_cel::cel::extractors::This;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::{Context, ExecutionError, Value as Cel};

use super::super::attributes::UserInfo;
use super::super::cluster::{AccessQuery, Cluster};

/// Marks the maps that stand for authorizer objects.
const MARK: &str = "@authorizer";

type Fields = BTreeMap<String, String>;

/// Answers that are known, and the question that is not.
#[derive(Clone, Default)]
pub(crate) struct Decisions(Arc<Mutex<Asked>>);

/// What was answered, and what is open.
type Asked = (BTreeMap<Fields, bool>, Option<Fields>);

impl Decisions {
    /// Answers the open question; false when there is none.
    pub(crate) fn answer(&self, user: &UserInfo, cluster: &dyn Cluster) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(question) = state.1.take() else { return false };
        let get = |key: &str| question.get(key).map_or("", String::as_str);
        let query = AccessQuery {
            verb: get("verb"),
            group: get("group"),
            resource: get("resource"),
            subresource: get("subresource"),
            namespace: get("namespace"),
            name: get("name"),
            path: get("path"),
        };
        let asked_for = account(get("serviceAccount"));
        let allowed = cluster.authorize(asked_for.as_ref().unwrap_or(user), &query);
        state.0.insert(question, allowed);
        true
    }

    fn ask(&self, question: Fields) -> Result<bool, ExecutionError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0.get(&question) {
            Some(allowed) => Ok(*allowed),
            None => {
                state.1 = Some(question);
                Err(ExecutionError::function_error("check", "not decided yet"))
            }
        }
    }
}

/// The user of a service account given as `namespace/name`.
fn account(text: &str) -> Option<UserInfo> {
    let (namespace, name) = text.split_once('/')?;
    Some(UserInfo {
        username: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
        ..UserInfo::default()
    })
}

/// The variable `authorizer`; `request_resource` are the fields of `authorizer.requestResource`.
pub(crate) fn authorizer(request_resource: &[(&str, &str)]) -> Cel {
    let fields = request_resource.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut map = HashMap::new();
    map.insert(key(MARK), Cel::from(""));
    map.insert(key("requestResource"), object(&fields));
    Cel::Map(Map { map: Arc::new(map) })
}

fn key(text: &str) -> Key {
    Key::String(Arc::new(text.to_owned()))
}

fn object(fields: &Fields) -> Cel {
    let mut map: HashMap<Key, Cel> =
        fields.iter().map(|(name, value)| (key(name), Cel::from(value.as_str()))).collect();
    map.insert(key(MARK), Cel::from(""));
    Cel::Map(Map { map: Arc::new(map) })
}

fn fields(value: &Cel) -> Result<Fields, ExecutionError> {
    let Cel::Map(map) = value else { return Err(ExecutionError::NoSuchOverload) };
    if !map.map.contains_key(&key(MARK)) {
        return Err(ExecutionError::NoSuchOverload);
    }
    let texts = map.map.iter().filter_map(|(key, value)| match (key, value) {
        (Key::String(key), Cel::String(value)) if key.as_str() != MARK => {
            Some((key.as_str().to_owned(), value.as_str().to_owned()))
        }
        _ => None,
    });
    Ok(texts.collect())
}

/// `value.?field`, `value[?key]`, and what follows an optional: none where there is nothing.
pub(crate) fn optional(value: Cel, key: Cel) -> Result<Cel, ExecutionError> {
    let none = || Cel::Opaque(Arc::new(OptionalValue::none()));
    let some = |value: &Cel| Cel::Opaque(Arc::new(OptionalValue::of(value.clone())));
    let held = match &value {
        Cel::Opaque(_) => {
            let held: &OptionalValue = (&value).try_into()?;
            match held.value() {
                Some(held) => held.clone(),
                None => return Ok(none()),
            }
        }
        other => other.clone(),
    };
    match (&held, key) {
        (Cel::Map(map), Cel::String(key)) => Ok(map.map.get(&Key::String(key)).map_or_else(none, some)),
        (Cel::Map(map), Cel::Int(key)) => Ok(map.map.get(&Key::Int(key)).map_or_else(none, some)),
        (Cel::List(list), Cel::Int(index)) => {
            Ok(usize::try_from(index).ok().and_then(|index| list.get(index)).map_or_else(none, some))
        }
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

/// `value.field`.
pub(crate) fn select(value: Cel, field: Arc<String>) -> Result<Cel, ExecutionError> {
    match value {
        Cel::Map(map) => match map.map.get(&Key::String(field.clone())) {
            Some(value) => Ok(value.clone()),
            None => Err(ExecutionError::NoSuchKey(field)),
        },
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

/// Adds the authorizer's functions.
pub(crate) fn register(context: &mut Context<'_>, decisions: &Decisions) {
    for name in ["path", "group", "resource", "subresource", "namespace", "name"] {
        context.add_function(name, move |This(this): This<Cel>, value: Arc<String>| {
            let mut fields = fields(&this)?;
            fields.insert(name.to_owned(), value.as_str().to_owned());
            Ok::<_, ExecutionError>(object(&fields))
        });
    }
    context.add_function("serviceAccount", |This(this): This<Cel>, namespace: Arc<String>, name: Arc<String>| {
        let mut fields = fields(&this)?;
        fields.insert("serviceAccount".to_owned(), format!("{namespace}/{name}"));
        Ok::<_, ExecutionError>(object(&fields))
    });
    let decisions = decisions.clone();
    context.add_function("check", move |This(this): This<Cel>, verb: Arc<String>| {
        let mut fields = fields(&this)?;
        fields.insert("verb".to_owned(), verb.as_str().to_owned());
        let allowed = decisions.ask(fields)?;
        let decision = [("allowed".to_owned(), allowed.to_string())].into_iter().collect();
        Ok::<_, ExecutionError>(object(&decision))
    });
    context.add_function("allowed", |This(this): This<Cel>| {
        Ok::<_, ExecutionError>(fields(&this)?.get("allowed").is_some_and(|allowed| allowed == "true"))
    });
    context.add_function("errored", |This(this): This<Cel>| {
        fields(&this)?;
        Ok::<_, ExecutionError>(false)
    });
    for name in ["reason", "error"] {
        context.add_function(name, move |This(this): This<Cel>| {
            fields(&this)?;
            Ok::<_, ExecutionError>(Arc::new(String::new()))
        });
    }
}
