//! `json!`.

/// A [`Value`](crate::value::Value) written as JSON, with Rust expressions for values. Names are literals, or
/// expressions in parentheses.
///
/// ```
/// let name = "web";
/// let pod = apimachinery::json!({"kind": "Pod", "metadata": {"name": name, "labels": null}, "ports": [80, 443]});
/// assert_eq!(pod.to_string(), r#"{"kind":"Pod","metadata":{"labels":null,"name":"web"},"ports":[80,443]}"#);
/// ```
#[macro_export]
macro_rules! json {
    (@fields $map:ident) => {};
    (@fields $map:ident $name:tt : null $(, $($rest:tt)*)?) => {
        $map.insert($name, $crate::value::Value::Null);
        $crate::json!(@fields $map $($($rest)*)?);
    };
    (@fields $map:ident $name:tt : [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $map.insert($name, $crate::json!([$($inner)*]));
        $crate::json!(@fields $map $($($rest)*)?);
    };
    (@fields $map:ident $name:tt : {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $map.insert($name, $crate::json!({$($inner)*}));
        $crate::json!(@fields $map $($($rest)*)?);
    };
    (@fields $map:ident $name:tt : $value:expr $(, $($rest:tt)*)?) => {
        $map.insert($name, $crate::value::ToValue::to_value(&$value));
        $crate::json!(@fields $map $($($rest)*)?);
    };
    (@fields $map:ident & $name:tt : $($rest:tt)*) => { $crate::json!(@fields $map (&$name) : $($rest)*); };
    (@fields $map:ident * $name:tt : $($rest:tt)*) => { $crate::json!(@fields $map (*$name) : $($rest)*); };
    (@fields $map:ident $name:path : $($rest:tt)*) => { $crate::json!(@fields $map ($name) : $($rest)*); };
    (@items $list:ident) => {};
    (@items $list:ident null $(, $($rest:tt)*)?) => {
        $list.push($crate::value::Value::Null);
        $crate::json!(@items $list $($($rest)*)?);
    };
    (@items $list:ident [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $list.push($crate::json!([$($inner)*]));
        $crate::json!(@items $list $($($rest)*)?);
    };
    (@items $list:ident {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $list.push($crate::json!({$($inner)*}));
        $crate::json!(@items $list $($($rest)*)?);
    };
    (@items $list:ident $value:expr $(, $($rest:tt)*)?) => {
        $list.push($crate::value::ToValue::to_value(&$value));
        $crate::json!(@items $list $($($rest)*)?);
    };
    (null) => { $crate::value::Value::Null };
    ([]) => { $crate::value::Value::Array($crate::value::List::new()) };
    ([$($items:tt)+]) => {{
        let mut list = $crate::value::List::new();
        $crate::json!(@items list $($items)+);
        $crate::value::Value::Array(list)
    }};
    ({}) => { $crate::value::Value::Object($crate::value::Map::new()) };
    ({$($fields:tt)+}) => {{
        let mut map = $crate::value::Map::new();
        $crate::json!(@fields map $($fields)+);
        $crate::value::Value::Object(map)
    }};
    ($value:expr) => { $crate::value::ToValue::to_value(&$value) };
}
