//! JSON values as CEL sees them: whole numbers are ints.

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::value::Value;
use kube_cel::cel::Value as Cel;
use kube_cel::cel::objects::{Key, Map};

/// The CEL value of a JSON value.
pub(crate) fn from_json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Cel::Int(number),
            (None, Some(number)) => Cel::Float(number),
            (None, None) => Cel::Null,
        },
        Value::String(text) => Cel::String(Arc::new(text.clone().into())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(from_json).collect())),
        Value::Object(fields) => {
            let map = fields.iter().map(|(key, value)| (Key::String(Arc::new(key.clone().into())), from_json(value)));
            Cel::Map(Map { map: Arc::new(map.collect::<HashMap<_, _>>()) })
        }
    }
}

/// The JSON value of a CEL value; none for what JSON has no form for.
pub(crate) fn to_json(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(number) => Value::from(*number),
        Cel::UInt(number) => Value::from(*number),
        Cel::Float(number) => Value::from(*number),
        Cel::String(text) => Value::from(text.as_str()),
        Cel::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Cel::Map(map) => {
            let mut fields = apimachinery::value::Map::new();
            for (key, value) in map.map.iter() {
                let key = match key {
                    Key::String(key) => key.as_str().to_owned(),
                    Key::Int(key) => key.to_string(),
                    Key::Uint(key) => key.to_string(),
                    Key::Bool(key) => key.to_string(),
                };
                fields.insert(key, to_json(value)?);
            }
            Value::Object(fields)
        }
        _ => return None,
    })
}
