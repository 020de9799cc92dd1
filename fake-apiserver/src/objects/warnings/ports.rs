//! Ports that are defined more than once.

use std::collections::HashMap;

use serde_json::Value;

use crate::objects::field::{Path, go_quote};
use crate::objects::get::{int, list, text};
use crate::objects::validation::container_each as each;

/// A port and where it is.
struct Port {
    place: String,
    host_ip: String,
    host_port: i64,
}

/// The same number and protocol twice, in one container or in two.
pub(super) fn definitions(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let mut all: HashMap<(i64, String), Vec<Port>> = HashMap::new();
    each(spec, path, &mut |container, path| {
        let ports = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let number = |field: &str| int(port, field).unwrap_or(0);
            let here = Port {
                place: ports.index(index).to_string(),
                host_ip: text(port, "hostIP").to_owned(),
                host_port: number("hostPort"),
            };
            let place = &here.place;
            if !here.host_ip.is_empty() && here.host_port == 0 {
                out.push(format!("{place}: hostIP set without hostPort: {}", go_struct(port)));
            }
            let others = all.entry((number("containerPort"), text(port, "protocol").to_owned())).or_default();
            for other in others.iter() {
                let same_address = here.host_ip == other.host_ip;
                let what = if same_address && here.host_port == other.host_port {
                    "duplicate"
                } else if here.host_port == 0 || other.host_port == 0 {
                    "overlapping"
                } else if here.host_port == other.host_port && here.host_ip.is_empty() != other.host_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                out.push(format!("{place}: {what} port definition with {}", other.place));
            }
            others.push(here);
        }
    });
}

/// A port as Go prints a struct.
fn go_struct(port: &Value) -> String {
    let number = |field: &str| int(port, field).unwrap_or(0);
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(port, "name"),
        number("hostPort"),
        number("containerPort"),
        text(port, "protocol"),
        text(port, "hostIP"),
    )
}

/// The same name twice: who asks for the port by name gets the first.
pub(super) fn names(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let mut all: HashMap<String, String> = HashMap::new();
    each(spec, path, &mut |container, path| {
        let ports = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let name = text(port, "name");
            if name.is_empty() {
                continue;
            }
            let here = ports.index(index).to_string();
            if let Some(first) = all.get(name) {
                out.push(format!(
                    "{here}: duplicate port name {} with {first}, services and probes that select ports by name will use {first}",
                    go_quote(name)
                ));
            } else {
                all.insert(name.to_owned(), here);
            }
        }
    });
}
