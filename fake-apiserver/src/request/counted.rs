//! What the metrics tell of a request.

use super::path::RequestInfo;
use crate::metrics;

impl RequestInfo {
    /// The labels of a request for a resource; `apply` is whether a PATCH is a server-side apply.
    pub(crate) fn counted(&self, apply: bool, dry_run: bool) -> metrics::Request<'_> {
        let connects = matches!(&*self.subresource, "exec" | "attach" | "portforward" | "proxy");
        let verb = match self.verb {
            _ if connects => "CONNECT",
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" => "POST",
            "update" => "PUT",
            "patch" if apply => "APPLY",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            _ => "other",
        };
        // A create counts as one of a resource although its path names none.
        let scope = match (self.name.is_empty() && self.verb != "create", self.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        metrics::Request {
            verb,
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            scope,
            dry_run,
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch" | "head" | "options")
    }
}

#[cfg(test)]
mod tests {
    use super::RequestInfo;

    #[test]
    fn scope_and_verb_are_the_real_ones() {
        for (method, path, verb, scope) in [
            (http::Method::POST, "/api/v1/namespaces/a/pods", "POST", "resource"),
            (http::Method::GET, "/api/v1/namespaces/a/pods", "LIST", "namespace"),
            (http::Method::GET, "/api/v1/pods", "LIST", "cluster"),
            (http::Method::PATCH, "/api/v1/namespaces/a/pods/p", "APPLY", "resource"),
            (http::Method::DELETE, "/apis/apps/v1/namespaces/a/deployments", "DELETECOLLECTION", "namespace"),
            (http::Method::POST, "/api/v1/namespaces/a/pods/p/exec", "CONNECT", "resource"),
        ] {
            let info = RequestInfo::parse(&method, path, false);
            let counted = info.counted(true, false);
            assert_eq!((counted.verb, counted.scope), (verb, scope), "{method} {path}");
        }
    }
}
