//! Ports that are defined more than once.

use std::collections::{BTreeMap, HashMap};

use apimachinery::go::quote;
use apimachinery::value::Value;

use super::MOST;
use crate::objects::field::Path;
use crate::objects::get::{int, list, text};
use crate::objects::validation::container_each as each;

/// Ports of one number and protocol, in their order, and who of them can stand in the way of another.
#[derive(Default)]
struct Alike {
    places: Vec<String>,
    /// By the port of the host.
    of_host: HashMap<i64, Vec<usize>>,
    /// By the port of the host and its address.
    of_address: HashMap<(i64, String), Vec<usize>>,
}

impl Alike {
    /// Those that the port is a warning with, in order, and what it says.
    fn with(&self, host_port: i64, host_ip: &str) -> Vec<(usize, &'static str)> {
        let address = |ip: &str| {
            let places = self.of_address.get(&(host_port, ip.to_owned()));
            places.into_iter().flatten().copied()
        };
        let host = |port: i64| self.of_host.get(&port).into_iter().flatten().copied();
        let mut what: BTreeMap<usize, &'static str> = BTreeMap::new();
        if host_port == 0 {
            what.extend((0..self.places.len()).map(|at| (at, "overlapping")));
        } else {
            what.extend(host(0).map(|at| (at, "overlapping")));
            if host_ip.is_empty() {
                what.extend(host(host_port).map(|at| (at, "dangerously ambiguous")));
            } else {
                what.extend(address("").map(|at| (at, "dangerously ambiguous")));
            }
        }
        what.extend(address(host_ip).map(|at| (at, "duplicate")));
        what.into_iter().collect()
    }
}

/// The same number and protocol twice, in one container or in two.
pub(super) fn definitions(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let mut all: HashMap<(i64, String), Alike> = HashMap::new();
    each(spec, path, &mut |container, path| {
        let ports = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            if out.len() >= MOST {
                return;
            }
            let number = |field: &str| int(port, field).unwrap_or(0);
            let place = ports.index(index).to_string();
            let (host_ip, host_port) = (text(port, "hostIP"), number("hostPort"));
            if !host_ip.is_empty() && host_port == 0 {
                out.push(format!("{place}: hostIP set without hostPort: {}", go_struct(port)));
            }
            let alike = all.entry((number("containerPort"), text(port, "protocol").to_owned())).or_default();
            for (other, what) in alike.with(host_port, host_ip).into_iter().take(MOST.saturating_sub(out.len())) {
                out.push(format!("{place}: {what} port definition with {}", alike.places[other]));
            }
            let at = alike.places.len();
            alike.of_host.entry(host_port).or_default().push(at);
            alike.of_address.entry((host_port, host_ip.to_owned())).or_default().push(at);
            alike.places.push(place);
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
                    quote(name)
                ));
            } else {
                all.insert(name.to_owned(), here);
            }
        }
    });
}
