//! What the registry gives to Services: cluster addresses and node ports.

use std::net::Ipv4Addr;

use apimachinery::value::{Value, json};

use super::meta::text;
use crate::admission::Rejection;
use crate::core::Core;
use crate::refusal::{self, Cause};

/// The addresses that are given out: 10.96.0.0/16, whose first is the API's own.
const NETWORK: u32 = 0x0a60_0000;

/// Node ports are taken from here.
const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

fn is_taken(core: &Core, address: &str) -> bool {
    core.store.list("services", "").0.iter().any(|service| service.value()["spec"]["clusterIP"] == address)
}

/// Gives a new Service what it asks for, or something free.
pub(super) fn allocate(core: &Core, service: &mut Value) -> Result<(), Rejection> {
    let kind = text(&service["spec"], "type").to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    let asked = text(&service["spec"], "clusterIP").to_owned();
    let address = match asked.as_str() {
        "" => free_address(core),
        "None" => "None".to_owned(),
        _ if is_taken(core, &asked) => {
            let text = format!("failed to allocate IP {asked}: provided IP is already allocated");
            let name = super::meta::text(&service["metadata"], "name").to_owned();
            return Err(refusal::invalid(
                "",
                "Service",
                &name,
                &[Cause::invalid("spec.clusterIPs", &json!([asked]).to_string(), &text)],
            ));
        }
        _ => asked,
    };
    service["spec"]["clusterIP"] = address.as_str().into();
    service["spec"]["clusterIPs"] = json!([address]);
    // Headless without a selector: the addresses are somebody else's, of either family (`service-ref/headless`).
    let selects = service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    let (families, policy) = match text(&service["spec"], "clusterIP") == "None" && !selects {
        true => (json!(["IPv4", "IPv6"]), "RequireDualStack"),
        false => (json!(["IPv4"]), "SingleStack"),
    };
    if service["spec"]["ipFamilies"].is_null() {
        service["spec"]["ipFamilies"] = families;
    }
    if service["spec"]["ipFamilyPolicy"].is_null() {
        service["spec"]["ipFamilyPolicy"] = policy.into();
    }
    node_ports(core, service, &kind);
    Ok(())
}

/// A changed Service keeps what it has.
pub(super) fn keep(core: &Core, new: &mut Value, old: &Value) -> Result<(), Rejection> {
    let kind = text(&new["spec"], "type").to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    if text(&new["spec"], "clusterIP").is_empty() && !text(&old["spec"], "clusterIP").is_empty() {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            new["spec"][field] = old["spec"][field].clone();
        }
    } else if text(&new["spec"], "clusterIP").is_empty() {
        return allocate(core, new);
    }
    let same = |port: &Value, other: &Value| port["port"] == other["port"] && port["protocol"] == other["protocol"];
    if let Some(ports) = new["spec"]["ports"].as_array_mut() {
        for port in ports.iter_mut().filter(|port| port["nodePort"].as_i64().unwrap_or(0) == 0) {
            let before = old["spec"]["ports"].as_array().into_iter().flatten().find(|other| same(port, other));
            if let Some(node) = before.map(|before| before["nodePort"].clone()).filter(Value::is_i64)
                && matches!(kind.as_str(), "NodePort" | "LoadBalancer")
            {
                port["nodePort"] = node;
            }
        }
    }
    node_ports(core, new, &kind);
    Ok(())
}

fn node_ports(core: &Core, service: &mut Value, kind: &str) {
    if !matches!(kind, "NodePort" | "LoadBalancer") {
        return;
    }
    for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
        if port["nodePort"].as_i64().unwrap_or(0) == 0 {
            port["nodePort"] = (NODE_PORTS.start + core.random.below(NODE_PORTS.end - NODE_PORTS.start)).into();
        }
    }
}

/// A free address, chosen from the seed so that clusters are alike.
fn free_address(core: &Core) -> String {
    let mut address = String::new();
    for _ in 0..1000 {
        // The lower part of the network is left to those who ask for an address.
        let host = 256 + u32::try_from(core.random.below(0xff00)).unwrap_or(0);
        address = Ipv4Addr::from(NETWORK + host).to_string();
        if !is_taken(core, &address) {
            break;
        }
    }
    address
}
