//! `/healthz`, `/livez`, `/readyz` and their checks. A server that answers is healthy.

use http::Response;

use crate::request::query::Query;
use crate::respond::{self, Body};

/// The checks of `/readyz`, in the order in which the real one prints them.
const CHECKS: &str = include_str!("checks.txt");

/// An answer if the path is one of health.
pub(super) fn serve(path: &str, query: &Query) -> Option<Response<Body>> {
    let (endpoint, check) = match path.trim_start_matches('/').split_once('/') {
        Some((endpoint, check)) => (endpoint, Some(check)),
        None => (path.trim_start_matches('/'), None),
    };
    if !matches!(endpoint, "healthz" | "livez" | "readyz") {
        return None;
    }
    let excluded = |name: &str| query.all("exclude").any(|excluded| excluded == name);
    match check {
        Some(check) if CHECKS.lines().chain(["etcd"]).any(|known| known == check) => Some(respond::text(200, "ok")),
        Some(_) => Some(respond::page_not_found()),
        None if query.find("verbose").is_some() => {
            let mut text = String::new();
            for check in
                CHECKS.lines().filter(|check| endpoint == "readyz" || !matches!(*check, "informer-sync" | "shutdown"))
            {
                text.push_str(&if excluded(check) {
                    format!("[+]{check} excluded: ok\n")
                } else {
                    format!("[+]{check} ok\n")
                });
            }
            text.push_str(endpoint);
            text.push_str(" check passed\n");
            Some(respond::text(200, text))
        }
        None => Some(respond::text(200, "ok")),
    }
}
