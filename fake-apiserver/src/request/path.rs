//! What a URL path and a method ask for, as kube-apiserver's request info resolver reads them.

/// A request for a resource, or for something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the method in lower case.
    pub(crate) verb: &'static str,
    /// Whether it is below `/api/v1/…` or `/apis/{group}/{version}/…`.
    pub(crate) is_resource: bool,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// What follows the subresource (`pods/x/proxy/metrics`: `metrics`).
    pub(crate) rest: String,
}

/// Parts below `namespaces/{name}` that are subresources of the namespace itself.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Reads a path (already percent-decoded) and a method; `watch` is whether the query asks for a watch.
    pub(crate) fn parse(method: &http::Method, path: &str, watch: bool) -> RequestInfo {
        let mut info = RequestInfo { verb: method_verb(method), ..RequestInfo::default() };
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let at = match parts.first() {
            Some(&"api") if parts.len() >= 3 => 1,
            Some(&"apis") if parts.len() >= 4 => {
                info.group = parts[1].to_owned();
                2
            }
            _ => return info,
        };
        info.is_resource = true;
        info.version = parts[at].to_owned();
        parts.drain(..=at);
        info.verb = match *method {
            http::Method::POST => "create",
            http::Method::GET | http::Method::HEAD => "get",
            http::Method::PUT => "update",
            http::Method::PATCH => "patch",
            http::Method::DELETE => "delete",
            _ => "",
        };
        // The old form /api/v1/watch/… of a watch.
        let mut old_watch = false;
        if parts.first() == Some(&"watch") && parts.len() > 1 && matches!(info.verb, "get" | "list") {
            parts.remove(0);
            old_watch = true;
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace = parts[1].to_owned();
            if parts.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&parts[2]) {
                parts.drain(..2);
            }
        }
        info.resource = parts[0].to_owned();
        info.name = parts.get(1).copied().unwrap_or_default().to_owned();
        info.subresource = parts.get(2).copied().unwrap_or_default().to_owned();
        info.rest = parts.get(3..).map(|rest| rest.join("/")).unwrap_or_default();
        if old_watch {
            info.verb = "watch";
        } else if info.name.is_empty() {
            info.verb = match info.verb {
                "get" if watch => "watch",
                "get" => "list",
                "delete" => "deletecollection",
                verb => verb,
            };
        }
        info
    }

    /// The path of a request for a resource.
    pub(crate) fn to_path(&self) -> String {
        let mut path = match &*self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if !self.namespace.is_empty() && self.resource != "namespaces" {
            path = format!("{path}/namespaces/{}", self.namespace);
        }
        for part in [&self.resource, &self.name, &self.subresource] {
            if !part.is_empty() {
                path = format!("{path}/{part}");
            }
        }
        path
    }
}

fn method_verb(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "get",
        http::Method::POST => "post",
        http::Method::PUT => "put",
        http::Method::PATCH => "patch",
        http::Method::DELETE => "delete",
        http::Method::HEAD => "head",
        http::Method::OPTIONS => "options",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: http::Method, path: &str) -> (String, String) {
        let info = RequestInfo::parse(&method, path, false);
        let place =
            [&info.group, &info.version, &info.namespace, &info.resource, &info.name, &info.subresource, &info.rest];
        (info.verb.to_owned(), place.map(String::as_str).join("|"))
    }

    #[test]
    fn paths_are_read_as_the_real_one_reads_them() {
        use http::Method;
        for (method, path, verb, place) in [
            (Method::GET, "/api/v1/namespaces/a/pods/p/log", "get", "|v1|a|pods|p|log|"),
            (Method::GET, "/api/v1/pods", "list", "|v1||pods|||"),
            (Method::GET, "/api/v1/namespaces/a", "get", "|v1|a|namespaces|a||"),
            (Method::PUT, "/api/v1/namespaces/a/finalize", "update", "|v1|a|namespaces|a|finalize|"),
            (Method::DELETE, "/apis/apps/v1/namespaces/a/deployments", "deletecollection", "apps|v1|a|deployments|||"),
            (Method::POST, "/api/v1/namespaces/a/pods/p/proxy/x/y", "create", "|v1|a|pods|p|proxy|x/y"),
            (Method::GET, "/api/v1/watch/namespaces/a/pods", "watch", "|v1|a|pods|||"),
            (Method::GET, "/version", "get", "||||||"),
            (Method::GET, "/apis/apps/v1", "get", "||||||"),
        ] {
            assert_eq!(parse(method, path), (verb.to_owned(), place.to_owned()), "{path}");
        }
    }
}
