//! Counting requests: how many, how long, how large, and the watches that are open.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use http_body::Body as _;
use tokio::time::Instant;

use crate::core::Shared;
use crate::metrics;
use crate::request::path::RequestInfo;
use crate::request::query::Query;
use crate::respond::{Body, holding};

/// A request while it is handled.
pub(super) struct Counted {
    core: Shared,
    started: Instant,
    read_only: bool,
    apply: bool,
    dry_run: bool,
}

impl Counted {
    /// The request begins.
    pub(super) fn start(core: &Shared, info: &RequestInfo, query: &Query, headers: &HeaderMap) -> Counted {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let read_only = info.is_read_only();
        core.metrics.in_flight(read_only, 1.0);
        Counted {
            core: core.clone(),
            started: Instant::now(),
            read_only,
            apply: content_type.starts_with("application/apply-patch"),
            dry_run: query.all("dryRun").any(|value| value == "All"),
        }
    }

    /// The request has its answer. What nobody serves is not counted, as in the real one; health is, by its path.
    pub(super) fn end(self, info: &RequestInfo, path: &str, response: Response<Body>) -> Response<Body> {
        let code = response.status().as_u16();
        let took = self.started.elapsed();
        let metrics = &self.core.metrics;
        if !info.is_resource {
            if matches!(path, "/healthz" | "/livez" | "/readyz") {
                let counted = metrics::Request { verb: "GET", subresource: path, ..metrics::Request::default() };
                metrics.request(&counted, code, took, None);
            }
            return response;
        }
        if self.core.registry.find(&info.group, &info.version, &info.resource).is_none() {
            return response;
        }
        let counted = info.counted(self.apply, self.dry_run);
        metrics.request(&counted, code, took, response.body().size_hint().exact());
        if info.verb != "watch" || code != 200 {
            return response;
        }
        let open = Open::start(&self.core, info);
        response.map(|body| holding(body, open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.core.metrics.in_flight(self.read_only, -1.0);
    }
}

/// A watch that is open.
struct Open {
    core: Shared,
    info: RequestInfo,
}

impl Open {
    fn start(core: &Shared, info: &RequestInfo) -> Open {
        core.metrics.open(&info.counted(false, false), 1.0);
        Open { core: core.clone(), info: info.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.metrics.open(&self.info.counted(false, false), -1.0);
    }
}
