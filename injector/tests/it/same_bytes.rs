//! The same review gets the same bytes: over ten thousand renderings, several injectors, several threads, from the answers
//! kept for pods of one owner and without them.

use std::sync::atomic::{AtomicUsize, Ordering};

use injector::Injector;
use serde_json::json;

use crate::{settings, support};

/// Renderings of all configurations together; the first tenth of each is computed by another injector.
const RENDERINGS: usize = 10_000;
const THREADS: usize = 4;

fn body() -> Vec<u8> {
    let mut pod = support::pod();
    pod["metadata"]["annotations"] = json!({
        "prometheus.io/scrape": "true", "proxy.istio.io/config": "{proxyMetadata: {B: b, A: a, C: c}, concurrency: 2}",
        "sidecar.istio.io/proxyCPU": "100m", "z": "1", "a": "2",
    });
    pod["spec"]["containers"][0]["env"] = (0..5).map(|n| json!({ "name": format!("V{n}"), "value": "x" })).collect();
    pod["spec"]["containers"][0]["readinessProbe"] = json!({ "httpGet": { "path": "/", "port": 8080 } });
    support::review("shop", &pod).to_string().into_bytes()
}

#[test]
fn ten_thousand_renderings_give_the_same_bytes() {
    let (all, body, renderings) = (settings::all(), body(), AtomicUsize::new(0));
    let each = RENDERINGS.div_ceil(all.len() * THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (body, renderings) = (&body, &renderings);
            scope.spawn(move || {
                for loaded in all {
                    let wanted = loaded.injector.review_uncached(body, "/inject").body;
                    let own = (thread == 0).then(|| Injector::load(loaded.settings.clone()).unwrap());
                    let injector = own.as_ref().unwrap_or(&loaded.injector);
                    for _ in 0..each {
                        assert!(injector.review_uncached(body, "/inject").body == wanted, "{}", loaded.name);
                        assert!(injector.review(body, "/inject").body == wanted, "{}: kept", loaded.name);
                    }
                    renderings.fetch_add(each, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(renderings.into_inner() >= RENDERINGS);
}
